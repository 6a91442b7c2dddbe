// Large content that compresses, end to end: what travels on both lines is counted from outside, agents of two ages share a hub.

import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { HubConnection } from '#agent/client/connection.ts'
import { dial } from '#agent/client/dial.ts'
import { startDownload } from '#agent/client/download/mod.ts'
import { Origins } from '#agent/client/origins.ts'
import { type Direction, type Transfer, Transfers } from '#agent/client/transfers.ts'
import { Upload } from '#agent/client/upload/mod.ts'
import type { Identity } from '#agent/identity/mod.ts'
import { signingKey } from '#protocol/crypto/mod.ts'
import { FRAME_ORIGIN } from '#protocol/frame/mod.ts'
import { FEATURE_ENCODED_CHUNKS, FEATURE_TRANSFERS, hasFeature } from '#protocol/handshake/mod.ts'
import { CountingLine } from '../crash/counting-line.ts'
import { run } from './cli.ts'
import { localHub, refer } from './support.ts'

const MIB = 2 ** 20
const rights = { publish: ['files/#', 'shared'], consume: ['files', '$unrouted'] }
const hub = await localHub(t, { queues: [{ name: 'files', topics: ['files/#'] }] })

const lines = (bytes: number, salt: number): Buffer => {
  const all = Array.from(
    { length: Math.ceil(bytes / 40) },
    (_, i) => `{"number":${i * salt},"name":"户籍","state":${i % 7}}\n`,
  )
  return Buffer.from(all.join('')).subarray(0, bytes)
}

function fileOf(name: string, bytes: Buffer): string {
  const path = join(hub.dir, name)
  writeFileSync(path, bytes)
  return path
}

const folderOf = (name: string): string => {
  const path = join(hub.dir, name)
  mkdirSync(path)
  return path
}

/** A client whose connections lead over a line that counts. */
async function overLine(t: Test, name: string) {
  const line = await CountingLine.open(hub.tcpPort)
  t.teardown(() => line.close())
  const address = { kind: 'tcp', host: '127.0.0.1', port: line.port } as const
  const client = await hub.client(name, rights, { dial: (options) => dial({ ...options, address }) })
  return { client, line }
}

t.test('text travels in a fraction of its size on both lines, and takes as little at the hub', async (t) => {
  const [desk, office] = [await overLine(t, 'desk'), await overLine(t, 'office')]
  const bytes = lines(30 * MIB, 7919)
  const before = hub.status().contents.bytes
  const upload = desk.client.upload({ path: fileOf('log.jsonl', bytes), compress: 'on' })
  await upload.sealed
  await refer(desk.client, upload.id)
  const download = office.client.download({ id: upload.id, to: folderOf('in') })
  const { path } = await download.done
  t.ok(readFileSync(path).equals(bytes))
  t.match(upload.progress, { sentBytes: bytes.length, storedBytes: bytes.length, wireBytes: desk.line.bytes })
  t.match(download.progress, { receivedBytes: bytes.length, storedBytes: bytes.length, wireBytes: office.line.bytes })
  t.ok(desk.line.bytes < bytes.length / 4, `${desk.line.bytes} of ${bytes.length} bytes sent`)
  t.equal(office.line.bytes, desk.line.bytes, 'received as it was sent')
  t.strictSame([desk.line.againBytes, office.line.againBytes], [0, 0])
  const taken = hub.status().contents.bytes - before
  t.ok(taken < bytes.length / 2, `${taken} bytes at the hub`)
})

t.test('what does not compress travels in its own size', async (t) => {
  const [desk, office] = [await overLine(t, 'desk-2'), await overLine(t, 'office-2')]
  const bytes = randomBytes(10 * MIB)
  const upload = desk.client.upload({ path: fileOf('noise.bin', bytes) })
  await upload.sealed
  await refer(desk.client, upload.id)
  const { path } = await office.client.download({ id: upload.id, to: folderOf('in-2') }).done
  t.ok(readFileSync(path).equals(bytes))
  t.strictSame([desk.line.bytes, office.line.bytes], [bytes.length, bytes.length])
})

t.test('a transfer whose hub restarts goes on with what lies there', async (t) => {
  const [desk, office] = [await overLine(t, 'desk-3'), await overLine(t, 'office-3')]
  const bytes = lines(40 * MIB, 104_729)
  const upload = desk.client.upload({ path: fileOf('history.jsonl', bytes), bytesPerSecondMax: 4 * MIB })
  await upload.opened
  await refer(desk.client, upload.id)
  const download = office.client.download({ id: upload.id, to: folderOf('in-3') })
  for (const storedBytes of [8 * MIB, 20 * MIB]) {
    while (download.progress.storedBytes < storedBytes) await new Promise((resolve) => setTimeout(resolve, 2))
    await hub.restart()
  }
  const { path } = await download.done
  await upload.sealed
  t.ok(readFileSync(path).equals(bytes))
  t.equal(upload.progress.hashedAgainBytes + download.progress.hashedAgainBytes, 0)
  const twice = [upload.progress.sentBytes, download.progress.receivedBytes].map((sent) => sent - bytes.length)
  t.ok(
    twice.every((again) => again >= 0 && again <= 2 * 16_000_000),
    `${twice.join(' and ')} bytes twice`,
  )
})

/** An agent that does not know of encoded chunks. */
async function olderAgent(t: Test, identity: Identity) {
  const transfers = new Transfers()
  const connection = await HubConnection.open({
    address: hub.tcpAddress,
    identity,
    features: [FEATURE_TRANSFERS],
    onDrain: () => transfers.pump(),
    onBytes: () => undefined,
  })
  const origins = new Origins(identity.caCertificate, identity.hubName)
  connection.listen(FRAME_ORIGIN, (_kind, body) => void origins.introduce(body))
  t.notOk(hasFeature(connection.terms.features, FEATURE_ENCODED_CHUNKS))
  transfers.attach(connection, origins)
  return {
    name: identity.name,
    sealingKey: signingKey(identity.key),
    addTransfer: (transfer: Transfer) => transfers.add(transfer),
    beginTransfer: (transfer: Transfer) => transfers.begin(transfer),
    removeTransfer: (transfer: Transfer) => transfers.remove(transfer),
    transferLine: (direction: Direction) => transfers.line(direction),
  }
}

t.test('an older agent gets chunks as they are, and what it sends is handed on as it came', async (t) => {
  const { client, line } = await overLine(t, 'desk-4')
  const older = await olderAgent(t, await hub.enroll('old', rights))
  const bytes = lines(9 * MIB, 15_485_863)
  const upload = client.upload({ path: fileOf('new.jsonl', bytes), compress: 'on' })
  await upload.sealed
  t.ok(line.bytes < bytes.length / 4)
  await refer(client, upload.id)
  const download = startDownload({ id: upload.id, to: folderOf('in-4') }, older)
  t.ok(readFileSync((await download.done).path).equals(bytes))
  t.match(download.progress, { receivedBytes: bytes.length, wireBytes: bytes.length })

  const other = lines(9 * MIB, 32_452_843)
  const sent = new Upload(older, { path: fileOf('old.jsonl', other) })
  await sent.sealed
  t.equal(sent.progress.wireBytes, other.length)
  line.bytes = 0
  await refer(await hub.client('old', rights), sent.id)
  const back = await client.download({ id: sent.id, to: folderOf('in-5') }).done
  t.ok(readFileSync(back.path).equals(other))
  t.equal(line.bytes, other.length)
})

t.test('the commands say what compressed, and leave it on request', async (t) => {
  await hub.enroll('cli-a', rights)
  await hub.enroll('cli-b', rights)
  const [a, b] = [join(hub.dir, 'cli-a'), join(hub.dir, 'cli-b')]
  const path = fileOf('words.jsonl', lines(3 * MIB, 982_451_653))
  const send = ['send', 'file', path, '--data', a, '--topic', 'files/x']
  t.match(await run('agent', send), {
    code: 0,
    stdout: /^words\.jsonl: 3\.0 MiB .* as [0-9a-f]{32}; compressed to \d+\.\d KiB\.$/m,
  })
  const receive = ['receive', 'file', '--data', b, '--queue', 'files', '--to', join(hub.dir, 'in-6'), '--count', '1']
  t.match(await run('agent', receive), { code: 0, stdout: /^words\.jsonl: .*; compressed to \d+\.\d KiB\.$/m })
  const plain = fileOf('plain.jsonl', lines(3 * MIB, 49_979_687))
  const off = await run('agent', [...send.with(2, plain), '--compress', 'off', '--json'])
  t.match(JSON.parse(off.stdout), { sentBytes: 3 * MIB, wireBytes: 3 * MIB })
  const checked = await run('hub', ['store', 'check', '--data', hub.dataDir])
  t.match(checked, { code: 1, stderr: /STORE_IN_USE/ })
  await hub.stop()
  t.equal((await run('hub', ['store', 'check', '--data', hub.dataDir])).code, 0)
  await hub.start()
})
