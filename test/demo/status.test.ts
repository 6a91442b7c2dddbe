import t from 'tap'
import { AgentMeter, parseAgentStatus, readAgentStatus } from './status.ts'

const report = {
  pid: 7,
  rssBytes: 80_000_000,
  rssBytesMax: 90_000_000,
  connected: true,
  flows: { villages: { state: 'running', rowsIn: 12, rowsOut: 10, rejected: 2, lastFault: null } },
  spool: { bytes: 1000, batches: 1, messages: 10 },
  wire: { bytesIn: 5, bytesOut: 100 },
  raw: { bytesIn: 10, bytesOut: 1000 },
}

t.test('a report is read, a wrong one is a fault that names the field', async (t) => {
  const status = parseAgentStatus(JSON.stringify(report), 'status.json')
  t.match(status, { pid: 7, connected: true, spoolMessages: 10, flows: { villages: { rowsOut: 10, rejected: 2 } } })
  const wrong: [unknown, RegExp][] = [
    [{ ...report, pid: -1 }, /pid is -1, not a whole number/],
    [{ ...report, connected: 'yes' }, /connected is "yes", not true or false/],
    [{ ...report, wire: { bytesIn: 5 } }, /wire.bytesOut is undefined/],
    [{ ...report, flows: { a: { state: 1 } } }, /flows.a.state is 1, not text/],
    [{ ...report, flows: null }, /flows is not an object/],
    [[], /flows is not an object/],
    [null, /it is not an object/],
  ]
  for (const [value, message] of wrong) {
    t.throws(() => parseAgentStatus(JSON.stringify(value), 'status.json'), { code: 'DEMO_STATUS_MALFORMED', message })
  }
  t.throws(() => parseAgentStatus('{"pid"', 'status.json'), { code: 'DEMO_STATUS_MALFORMED' })
  t.equal(readAgentStatus('/nonexistent/status.json'), null)
})

t.test('counters go on through a crash', async (t) => {
  const meter = new AgentMeter()
  const take = (change: object) => meter.take(parseAgentStatus(JSON.stringify({ ...report, ...change }), ''))
  meter.take(null)
  t.equal(meter.rowsOut, 0)
  take({})
  take({})
  t.equal(meter.rowsOut, 10, 'the same life is not counted twice')
  take({ pid: 8, flows: { villages: { ...report.flows.villages, rowsOut: 3, rejected: 0 } } })
  t.equal(meter.rowsOut, 13)
  t.equal(meter.rejected, 2)
  t.equal(meter.wireBytes, 210)
  t.equal(meter.rawBytes, 2020)
  t.equal(meter.latest?.pid, 8)
})
