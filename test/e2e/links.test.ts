// Large files for people with a browser: an operator makes links, somebody sends a file, an agent gets its message and the
// file, somebody else takes it.

import { mkdirSync, readFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import t from 'tap'
import { columns } from '#protocol/fields/mod.ts'
import { freePorts } from '#test/fixtures/ports.ts'
import { ask, run } from './cli.ts'
import { HOST, localHub } from './support.ts'

const [port] = await freePorts(1)
const config = { listen: undefined as unknown, advertise: [`${HOST}:7400`] }
config.listen = {
  tcp: { host: HOST, port: 0, tls: false },
  websocket: { enabled: false },
  http: { enabled: true, host: HOST, port },
}
const hub = await localHub(t, { queues: [{ name: 'scans', topics: ['permits/#'] }], config })
const ca = readFileSync(join(hub.dataDir, 'security', 'ca.crt'))

type Told = { readonly link: string; readonly url: string; readonly kind: string; readonly expiresAtMs: number }

async function link(...args: string[]): Promise<Told> {
  const { code, stdout, stderr } = await ask('hub', ['link', ...args, '--data', hub.dataDir, '--json'])
  t.equal(code, 0, stderr)
  return JSON.parse(stdout) as Told
}

type Answer = { readonly status: number; readonly location: string; readonly body: Buffer }

function visit(url: string, method: string, headers: Record<string, string> = {}, body?: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      { method, ca, agent: false, headers: { 'tus-resumable': '1.0.0', ...headers } },
      (response) => {
        const parts: Buffer[] = []
        response.on('data', (part: Buffer) => parts.push(part))
        response.on('end', () => {
          const { statusCode: status = 0, headers: told } = response
          resolve({ status, location: told.location ?? '', body: Buffer.concat(parts) })
        })
      },
    )
    sent.on('error', reject)
    sent.end(body)
  })
}

t.test('from a browser to an agent, and to another browser', async (t) => {
  const upload = await link(
    'upload',
    '--topic',
    'permits/scans',
    '--header',
    'district=north',
    '--once',
    '--bytes-max',
    '1 MiB',
  )
  t.match(upload, { kind: 'upload', url: `https://${HOST}:${port}/upload/` })
  t.match((await visit(upload.url, 'GET')).body.toString(), '<title>Upload a file</title>')
  const bytes = Buffer.alloc(200_000, 'scan ')
  const metadata = `filename ${Buffer.from('图纸.pdf').toString('base64')},filetype ${Buffer.from('application/pdf').toString('base64')}`
  const begun = await visit(upload.url, 'POST', { 'upload-length': String(bytes.length), 'upload-metadata': metadata })
  t.equal(begun.status, 201)
  const headers = { 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' }
  const sent = await visit(new URL(begun.location, upload.url).href, 'PATCH', headers, bytes)
  t.equal(sent.status, 204)
  t.equal((await visit(upload.url, 'POST', { 'upload-length': '1' })).status, 410, 'it was good for one file')
  const client = await hub.client('centre', { consume: ['scans'] })
  const queue = await client.subscribe({ queue: 'scans' })
  const delivery = await queue.next()
  const message = delivery?.[Symbol.iterator]().next().value
  t.match(message?.envelope, { topic: 'permits/scans', headers: { district: 'north' } })
  t.match(JSON.parse(`${message?.body}`), { name: '图纸.pdf', size: bytes.length, mediaType: 'application/pdf' })
  const content = String(message?.envelope.headers[':content'])
  const folder = join(hub.dir, 'in')
  mkdirSync(folder)
  const file = await client.download({ id: content, to: folder }).done
  t.match(file, { origin: 'test-hub', path: join(folder, '图纸.pdf') })
  t.ok(readFileSync(file.path).equals(bytes), 'the agent has it, as the hub sealed it')
  delivery?.settle()
  const download = await link('download', content)
  const taken = await visit(download.url, 'GET')
  t.equal(taken.status, 200)
  t.ok(taken.body.equals(bytes))
  const listed = await run('hub', ['link', 'list', '--data', hub.dataDir])
  t.match(
    listed.stdout,
    new RegExp(
      `^${upload.link} +upload +good +0 +23h \\d+m\n {2}\\S+, .*Z: topic permits/scans, files of 1 MiB at\\s+most$`,
      'm',
    ),
  )
  t.match(
    listed.stdout,
    new RegExp(`^${download.link} +download +good +6d 23h\n {2}\\S+, .*Z: content ${content}$`, 'm'),
  )
  for (const { url } of [upload, download]) t.notOk(listed.stdout.includes(url.split('/').at(-1) ?? ''))
  for (const line of listed.stdout.split('\n')) t.ok(columns(line) <= 80, line)
  const metrics = await (await fetch(`http://${HOST}:${hub.managementPort}/metrics`)).text()
  for (const [name, least] of [
    ['links', 2],
    ['contents', 1],
    ['content_bytes', 1000],
    ['content_received_bytes_total', bytes.length],
    ['content_sent_bytes_total', 2 * bytes.length],
    ['http_requests_total', 4],
    ['http_received_bytes_total', bytes.length],
    ['http_sent_bytes_total', bytes.length],
  ] as const) {
    const value = Number(new RegExp(`^causeway_${name} (\\d+)$`, 'm').exec(metrics)?.[1])
    t.ok(value >= least, `${name} is ${value}`)
  }
  const revoked = await run('hub', ['link', 'revoke', download.link, '--data', hub.dataDir, '--json'])
  t.strictSame(JSON.parse(revoked.stdout), { link: download.link, revoked: true })
  t.equal((await visit(download.url, 'GET')).status, 410)
  const told = async (...args: string[]) =>
    JSON.parse((await ask('hub', ['link', 'list', '--data', hub.dataDir, '--json', ...args])).stdout)
  t.match(await told(), [{ link: undefined, id: upload.link, state: 'good', usesLeft: 0 }])
  t.match(await told('--all'), [{ id: upload.link }, { id: download.link, state: 'revoked', usesLeft: null }])
  const secrets = [upload.url, download.url].map((url) => url.split('/').at(-1) ?? '')
  const log = JSON.stringify(hub.lines)
  for (const secret of secrets) t.notMatch(log, secret)
})

t.test('mistakes', async (t) => {
  const wrong = (...args: string[]) => ask('hub', ['link', ...args, '--data', hub.dataDir])
  t.match(await wrong('upload', '--topic', 'a/#'), { code: 2, stderr: /--topic/ })
  t.match(await wrong('upload', '--topic', 'a', '--header', ':content=x'), { code: 2, stderr: /--header/ })
  t.match(await wrong('upload', '--topic', 'a', '--header', ':ttl=x'), { code: 2, stderr: /ATTRIBUTE_INVALID|:ttl/ })
  t.match(await wrong('upload', '--topic', 'a', '--once', '--uses', '3'), { code: 2, stderr: /LINK_USES_UNCLEAR/ })
  t.match(await wrong('upload', '--topic', 'a', '--expires', '91d'), { code: 2, stderr: /--expires/ })
  t.match(await wrong('download', 'x'), { code: 2, stderr: /content/ })
  t.match(await wrong('revoke', 'x'), { code: 1, stderr: /LINK_SETTING/ })
})
