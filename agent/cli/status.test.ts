import t from 'tap'
import { columns } from '#protocol/fields/mod.ts'
import type { AgentStatus, TransferStatus } from '../telemetry/mod.ts'
import { statusText } from './status.ts'

const MIB = 2 ** 20
const transfer: TransferStatus = {
  direction: 'upload',
  id: '0'.repeat(32),
  name: 'plan.dwg',
  priority: 'normal',
  size: 1024 * MIB,
  doneBytes: 512 * MIB,
  bytesPerSecond: 10 * MIB,
  secondsLeft: 51.2,
  state: 'sending',
  fault: null,
}
const busy = {
  code: 'REQUEST_REFUSED',
  hubCode: 'CONTENT_BUSY',
  message: 'the hub refused a request: it is being sent',
}

t.test('transfers, one a line: how far, how fast, and why not', async (t) => {
  const transfers: TransferStatus[] = [
    transfer,
    { ...transfer, name: '二〇二六年度建设项目规划许可批复文件.pdf', priority: 'urgent', state: 'window' },
    { ...transfer, direction: 'download', name: '', size: 0, doneBytes: 0, secondsLeft: null, state: 'connecting' },
    { ...transfer, state: 'waiting', fault: busy, priority: 'bulk' },
    { ...transfer, state: 'paused', doneBytes: 1024 * MIB - 1 },
  ]
  const text = statusText(null, [{ pid: 7, command: 'send file', startedAtMs: 1, transfers }])
  t.equal(
    text,
    `No agent runs on this data folder.

Command send file, process 7
TRANSFER                   WAY      DONE       SIZE  STATE
plan.dwg                   upload    50%    1.0 GiB  10.0 MiB/s, 52s left
二〇二六年度建设项目规划…  upload    50%    1.0 GiB  waiting for its time of day, urgent
${'0'.repeat(25)}… download   0%        0 B  waiting for the hub
plan.dwg                   upload    50%    1.0 GiB  waiting: CONTENT_BUSY, bulk
  REQUEST_REFUSED: the hub refused a request: it is being sent
plan.dwg                   upload    99%    1.0 GiB  paused`,
  )
  for (const line of text.split('\n')) if (!line.includes('urgent')) t.ok(columns(line) <= 80, line)
  t.match(statusText(null, [{ pid: 7, command: 'receive file', startedAtMs: 1, transfers: [] }]), /no transfer/)
})

t.test('what an agent transfers stands below its flows', async (t) => {
  const now = {
    pid: 5,
    name: 'desk',
    hub: 'centre',
    startedAtMs: 1,
    rssBytes: 50 * MIB,
    rssBytesMax: 60 * MIB,
    connected: true,
    lastFault: null,
    flows: {},
    spool: { messages: 0, bytes: 0, bytesMax: MIB },
    refused: {},
    lost: {},
    wire: { bytesIn: 0, bytesOut: 0 },
    raw: { bytesIn: 0, bytesOut: 0 },
    transfers: [transfer],
  } as unknown as AgentStatus
  t.match(statusText(now, []), /^Agent desk of hub centre(?:.*\n)*\nTRANSFER.*\nplan\.dwg /)
  const { transfers: _, ...older } = now
  t.notMatch(statusText(older as AgentStatus, []), /TRANSFER/)
})

t.test('a flow that fails: why, and what to do', async (t) => {
  const lastFault = { code: 'SYSTEM_REFUSED', message: 'ENOENT', where: '/data/in.db', remedy: 'Check the path' }
  const flow = { state: 'failed', rowsIn: 0, rowsOut: 0, rejected: 0, restarts: 1, lastFault }
  const now = {
    ...{ pid: 5, name: 'desk', hub: 'centre', startedAtMs: 1, rssBytes: 1, rssBytesMax: 1, connected: true },
    ...{
      lastFault: null,
      flows: { out: flow },
      spool: { messages: 0, bytes: 0, bytesMax: MIB },
      refused: {},
      lost: {},
    },
    ...{ wire: { bytesIn: 0, bytesOut: 0 }, raw: { bytesIn: 0, bytesOut: 0 }, transfers: [] },
  } as unknown as AgentStatus
  t.match(statusText(now, []), /^out +failed .*\n {2}SYSTEM_REFUSED at \/data\/in\.db: ENOENT\n {2}Check the path$/m)
})
