import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { open } from 'lmdb'
import t from 'tap'
import { decodeRecord, encodeRecord } from './keys.ts'
import { openSpool, type Spool } from './mod.ts'

const MIB = 1024 * 1024

const filled = (bytes: number, value: number) => Buffer.alloc(bytes, value)

async function reopened(spool: Spool, path: string, bytesMax = MIB): Promise<Spool> {
  await spool.close()
  return openSpool({ path, bytesMax })
}

t.test('what was appended is read back, in order, with cursor and counts, also after a restart', async (t) => {
  const path = t.testdir()
  let spool = await openSpool({ path, bytesMax: MIB })
  const first = spool.stream('flow-a')
  t.match(first, { name: 'flow-a', nextSeq: 1, releasedSeq: 0, cursor: null })
  const appends = [
    first.append({ batches: [{ bytes: filled(10, 1), count: 3 }], cursor: '{"row":3}' }),
    first.append({ batches: [{ bytes: filled(100_000, 2), count: 7 }], cursor: '{"row":10}' }),
  ]
  t.equal(first.nextSeq, 11, 'sequence numbers are given at once')
  t.equal(first.cursor, null, 'the cursor only when it is stored')
  t.same(first.read({ seq: 1, bytesMax: MIB }), [], 'nothing is read before it is flushed')
  await Promise.all(appends)
  await first.append({ batches: [], cursor: '{"row":12}' })
  const { epoch } = first
  t.ok(epoch >= 1 && epoch < 2 ** 48)
  const usage = spool.usage()
  t.match(usage, { bytesMax: MIB, batches: 2, messages: 10 })
  t.ok(usage.bytes > 100_010, 'the overhead is counted')

  spool = await reopened(spool, path)
  const again = spool.stream('flow-a')
  t.match(again, { epoch, nextSeq: 11, releasedSeq: 0, cursor: '{"row":12}' })
  t.same(spool.streams(), ['flow-a'])
  t.same(spool.usage(), usage)
  const batches = again.read({ seq: 1, bytesMax: MIB })
  t.same(
    batches.map(({ firstSeq, count }) => ({ firstSeq, count })),
    [
      { firstSeq: 1, count: 3 },
      { firstSeq: 4, count: 7 },
    ],
  )
  t.ok(batches[0]?.bytes.equals(filled(10, 1)))
  t.ok(batches[1]?.bytes.equals(filled(100_000, 2)))
  t.same(
    again.read({ seq: 1, bytesMax: 1 }).map((each) => each.firstSeq),
    [1],
    'at least one, whatever the bound',
  )
  t.same(
    again.read({ seq: 2, bytesMax: MIB }).map((each) => each.firstSeq),
    [4],
  )
  await spool.close()
})

t.test('bytes read belong to the caller', async (t) => {
  const spool = await openSpool({ path: t.testdir(), bytesMax: 8 * MIB })
  t.teardown(() => spool.close())
  const stream = spool.stream('s')
  const sizes = [1, 500, 5_000, 40_000, 300_000]
  for (const [index, size] of sizes.entries())
    await stream.append({ batches: [{ bytes: filled(size, index + 1), count: 1 }], cursor: null })
  const before = stream.read({ seq: 1, bytesMax: MIB })
  for (const each of before) each.bytes.fill(0xff)
  const after = stream.read({ seq: 1, bytesMax: MIB })
  for (const [index, size] of sizes.entries()) {
    t.ok(after[index]?.bytes.equals(filled(size, index + 1)), `${size} bytes are untouched by the caller's writing`)
    t.ok(before[index]?.bytes.equals(filled(size, 0xff)), `${size} bytes are untouched by later reading`)
  }
})

t.test('a stream remembers which store of the hub has what it released, also across a restart', async (t) => {
  const path = t.testdir()
  const [one, two] = ['1a'.repeat(16), '2b'.repeat(16)]
  let spool = await openSpool({ path, bytesMax: MIB })
  const stream = spool.stream('s')
  await stream.release(0, one)
  t.equal(stream.releasedTo, null, 'of nothing nothing is remembered')
  await stream.append({ batches: [{ bytes: filled(9, 1), count: 2 }], cursor: 'c' })
  await stream.release(2, one)
  t.match(stream, { releasedSeq: 2, releasedTo: one, cursor: 'c' })
  spool = await reopened(spool, path)
  const again = spool.stream('s')
  t.match(again, { releasedSeq: 2, releasedTo: one, cursor: 'c' })
  await again.release(2, two)
  t.equal(again.releasedTo, two, 'the hub has another id, and has it too')
  await again.release(1, one)
  await again.release(2)
  t.equal(again.releasedTo, two)
  await again.append({ batches: [{ bytes: filled(9, 1), count: 1 }], cursor: null })
  await again.release(3)
  t.match(again, { releasedSeq: 3, releasedTo: two })
  spool = await reopened(spool, path)
  t.match(spool.stream('s'), { releasedSeq: 3, releasedTo: two, cursor: null })
  await spool.close()
})

t.test('a record of the first format is read; its store is unknown', async (t) => {
  // u8 format · u32 id · u48 epoch · u48 next · u48 released · u8 has cursor · cursor
  const record = Buffer.from(
    ['01', '00000007', '00000000002a', '000000000009', '000000000005', '01', '63'].join(''),
    'hex',
  )
  const read = { id: 7, epoch: 42, nextSeq: 9, releasedSeq: 5, releasedTo: null, cursor: 'c' }
  t.same(decodeRecord(record, 'here'), read)
  t.same(decodeRecord(encodeRecord(read), 'here'), read)
  t.throws(() => decodeRecord(record.subarray(0, 23), 'here'), { code: 'SPOOL_CORRUPT' })
})

t.test('streams do not see each other', async (t) => {
  const path = t.testdir()
  let spool = await openSpool({ path, bytesMax: MIB })
  const names = ['a', 'b', '街道']
  for (const name of names)
    await spool.stream(name).append({ batches: [{ bytes: Buffer.from(name), count: 1 }], cursor: name })
  await spool.stream('a').append({ batches: [{ bytes: Buffer.from('a2'), count: 1 }], cursor: 'a2' })
  await spool.stream('b').release(1)
  spool = await reopened(spool, path)
  t.same(
    spool
      .stream('a')
      .read({ seq: 1, bytesMax: MIB })
      .map((each) => each.bytes.toString()),
    ['a', 'a2'],
  )
  t.same(spool.stream('b').read({ seq: 1, bytesMax: MIB }), [])
  t.match(spool.stream('b'), { releasedSeq: 1, nextSeq: 2, cursor: 'b' })
  t.equal(spool.stream('街道').read({ seq: 1, bytesMax: MIB })[0]?.bytes.toString(), '街道')
  t.equal(new Set(names.map((name) => spool.stream(name).epoch)).size, 3)
  await spool.close()
})

t.test('release forgets whole batches only and frees their bytes', async (t) => {
  const path = t.testdir()
  let spool = await openSpool({ path, bytesMax: 64 * MIB })
  const stream = spool.stream('s')
  // More than one transaction takes (256 keys), so the slices are exercised.
  const batches = 600
  await Promise.all(
    Array.from({ length: batches }, () =>
      stream.append({ batches: [{ bytes: filled(2_000, 1), count: 2 }], cursor: null }),
    ),
  )
  const full = spool.usage()
  t.equal(full.batches, batches)
  await stream.release(5)
  t.match(stream, { releasedSeq: 4 }, 'message 5 is the first half of a batch')
  t.equal(spool.usage().batches, batches - 2)
  await stream.release(5)
  await stream.release(3)
  t.equal(stream.releasedSeq, 4, 'released before: nothing to do')
  await Promise.all([stream.release(1_000), stream.release(900), stream.release(1_199)])
  t.match(stream, { releasedSeq: 1_198, nextSeq: 1_201 })
  t.match(spool.usage(), { batches: 1, messages: 2, bytes: full.bytes / batches })
  await t.rejects(stream.release(1_201), { code: 'SPOOL_STREAM_INVALID' }, 'what was never stored cannot be released')
  spool = await reopened(spool, path, 64 * MIB)
  t.match(spool.stream('s'), { releasedSeq: 1_198, nextSeq: 1_201 })
  await spool.stream('s').release(1_200)
  t.match(spool.usage(), { bytes: 0, batches: 0, messages: 0 })
  t.equal(spool.stream('s').nextSeq, 1_201, 'an empty stream goes on counting')
  await spool.close()
})

t.test('the bound refuses, says it may be tried again, and space() waits for a release', async (t) => {
  const spool = await openSpool({ path: t.testdir(), bytesMax: 100_000 })
  t.teardown(() => spool.close())
  const stream = spool.stream('s')
  const signal = new AbortController().signal
  await spool.space(30_000, signal)
  for (let i = 0; i < 3; i += 1)
    await stream.append({ batches: [{ bytes: filled(30_000, i), count: 1 }], cursor: String(i) })
  const refused = await t.rejects(stream.append({ batches: [{ bytes: filled(30_000, 9), count: 1 }], cursor: '9' }))
  t.match(refused, { code: 'SPOOL_FULL', details: { retry: true } })
  t.match(stream, { nextSeq: 4, cursor: '2' }, 'nothing of it is stored')
  let open = false
  const waiting = spool.space(30_000, signal).then(() => {
    open = true
  })
  const tooMuch = new AbortController()
  const never = spool.space(90_000, tooMuch.signal)
  await stream.append({ batches: [], cursor: 'moved' })
  t.equal(stream.cursor, 'moved', 'a cursor alone needs no room')
  t.notOk(open)
  await stream.release(1)
  await waiting
  t.ok(open)
  tooMuch.abort(new Error('enough'))
  await t.rejects(never, { message: 'enough' })
  await stream.append({ batches: [{ bytes: filled(30_000, 9), count: 1 }], cursor: '9' })
  await t.rejects(stream.append({ batches: [{ bytes: filled(200_000, 9), count: 1 }], cursor: null }), {
    code: 'SPOOL_BATCH_TOO_LARGE',
  })
  await t.rejects(spool.space(200_000, signal), { code: 'SPOOL_BATCH_TOO_LARGE' })
})

t.test('listeners hear of batches once they can be read', async (t) => {
  const spool = await openSpool({ path: t.testdir(), bytesMax: MIB })
  t.teardown(() => spool.close())
  const stream = spool.stream('s')
  const seen: number[] = []
  const heard = Promise.withResolvers<void>()
  const stop = stream.onAppend(() => {
    seen.push(stream.read({ seq: 1, bytesMax: MIB }).length)
    heard.resolve()
  })
  await stream.append({ batches: [], cursor: 'c' })
  t.same(seen, [])
  await Promise.all([stream.append({ batches: [{ bytes: filled(1, 1), count: 1 }], cursor: 'd' }), heard.promise])
  t.same(seen, [1])
  stop()
  await stream.append({ batches: [{ bytes: filled(1, 1), count: 1 }], cursor: 'e' })
  await new Promise(setImmediate)
  t.same(seen, [1])
})

t.test('what is on disk before its promise is kept is not read yet', async (t) => {
  const spool = await openSpool({ path: t.testdir(), bytesMax: MIB })
  const stream = spool.stream('s')
  // On a busy machine the promise may be kept before this thread stands still.
  for (let seq = 1, isKept = true; isKept; seq += 5) {
    isKept = false
    const batches = [{ bytes: filled(10, 1), count: 5 }]
    const stored = stream.append({ batches, cursor: null }).then(() => {
      isKept = true
    })
    // Two turns hand the transaction over to its thread, which commits while this one stands still.
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve))
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 150)
    const tooEarly = isKept ? [] : stream.read({ seq, bytesMax: MIB })
    t.same(tooEarly, [], 'who sent it could be acknowledged before the spool knows of it')
    const again = isKept && seq < 100
    await stored
    t.equal(stream.read({ seq, bytesMax: MIB }).length, 1)
    await stream.release(seq + 4)
    isKept = again
  }
  await spool.close()
})

t.test('entries outside their limits are refused and change nothing', async (t) => {
  const spool = await openSpool({ path: t.testdir(), bytesMax: MIB })
  t.teardown(() => spool.close())
  const stream = spool.stream('s')
  const bytes = filled(1, 1)
  const invalid = { code: 'SPOOL_ENTRY_INVALID' }
  await t.rejects(stream.append({ batches: [{ bytes, count: 0 }], cursor: null }), invalid)
  await t.rejects(stream.append({ batches: [{ bytes, count: 1.5 }], cursor: null }), invalid)
  await t.rejects(stream.append({ batches: [{ bytes: Buffer.alloc(0), count: 1 }], cursor: null }), invalid)
  await t.rejects(stream.append({ batches: [{ bytes, count: 1 }], cursor: '字'.repeat(21_846) }), invalid)
  await stream.append({ batches: [{ bytes, count: 1 }], cursor: 'x'.repeat(65_536) })
  t.equal(stream.nextSeq, 2)
  t.throws(() => spool.stream(''), { code: 'SPOOL_STREAM_INVALID' })
  t.throws(() => spool.stream('字'.repeat(67)), { code: 'SPOOL_STREAM_INVALID' })
})

t.test('close finishes what was begun and refuses the rest', async (t) => {
  const path = t.testdir()
  const spool = await openSpool({ path, bytesMax: 100_000 })
  const stream = spool.stream('s')
  const begun = stream.append({ batches: [{ bytes: filled(60_000, 1), count: 1 }], cursor: 'c' })
  const waiting = spool.space(60_000, new AbortController().signal)
  const closing = spool.close()
  await t.rejects(waiting, { code: 'SPOOL_CLOSED' })
  await begun
  await closing
  await spool.close()
  await t.rejects(stream.append({ batches: [], cursor: null }), { code: 'SPOOL_CLOSED' })
  t.throws(() => stream.read({ seq: 1, bytesMax: 1 }), { code: 'SPOOL_CLOSED' })
  const again = await openSpool({ path, bytesMax: MIB })
  t.equal(again.stream('s').cursor, 'c')
  await again.close()
})

t.test('a spool is opened by one at a time', async (t) => {
  const path = t.testdir()
  const spool = await openSpool({ path, bytesMax: MIB })
  await t.rejects(openSpool({ path, bytesMax: MIB }), { code: 'SPOOL_IN_USE', where: path })
  const script = `import { openSpool } from ${JSON.stringify(import.meta.resolve('./mod.ts'))}
    await openSpool({ path: ${JSON.stringify(path)}, bytesMax: ${MIB} }).catch((fault) => console.log(fault.describe()))`
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
  t.match(child.stdout, /^SPOOL_IN_USE at /, 'another process is told, too')
  await spool.stream('s').append({ batches: [{ bytes: filled(1, 1), count: 1 }], cursor: null })
  await spool.close()
  await (await openSpool({ path, bytesMax: MIB })).close()
})

t.test('a folder that cannot be made, or records that contradict the batches, are faults', async (t) => {
  const path = t.testdir({ file: 'in the way' })
  await t.rejects(openSpool({ path: join(path, 'file', 'spool'), bytesMax: MIB }), { code: 'SPOOL_IO' })

  const damaged = async (name: string, change: (record: Buffer) => Buffer) => {
    const folder = join(path, name)
    mkdirSync(folder)
    const spool = await openSpool({ path: folder, bytesMax: MIB })
    await spool.stream('s').append({ batches: [{ bytes: filled(9, 1), count: 4 }], cursor: 'c' })
    const { epoch } = spool.stream('s')
    await spool.close()
    const file = join(folder, 'spool.mdb')
    const root = open<Buffer, Buffer>({
      path: file,
      noSubdir: true,
      overlappingSync: false,
      keyEncoding: 'binary',
      encoding: 'binary',
    })
    const records = root.openDB<Buffer, Buffer>({ name: 'streams', keyEncoding: 'binary', encoding: 'binary' })
    const record = encodeRecord({ id: 1, epoch, nextSeq: 5, releasedSeq: 0, releasedTo: null, cursor: 'c' })
    t.ok(records.get(Buffer.from('s'))?.equals(record), 'the format is what this test thinks')
    await records.put(Buffer.from('s'), change(record))
    await root.close()
    await t.rejects(openSpool({ path: folder, bytesMax: MIB }), { code: 'SPOOL_CORRUPT' }, name)
    await t.rejects(openSpool({ path: folder, bytesMax: MIB }), { code: 'SPOOL_CORRUPT' }, 'and its lock is given back')
  }
  const at = (record: Buffer, index: number, value: number) => {
    record.writeUInt8(value, index)
    return record
  }
  await damaged('next is ahead', (record) => at(record, 16, 6))
  await damaged('next is behind', (record) => at(record, 16, 4))
  await damaged('released is ahead', (record) => at(record, 22, 9))
  await damaged('unknown format', (record) => at(record, 0, 3))
  await damaged('truncated', (record) => record.subarray(0, 30))

  const foreign = join(path, 'foreign')
  mkdirSync(foreign)
  writeFileSync(join(foreign, 'spool.mdb'), 'this is no database'.repeat(1_000))
  await t.rejects(openSpool({ path: foreign, bytesMax: MIB }), { code: 'SPOOL_CORRUPT' })
})

t.test('a file cut short is a fault, not the end of the process', async (t) => {
  const path = t.testdir()
  const file = join(path, 'spool.mdb')
  const spool = await openSpool({ path, bytesMax: 10 * MIB })
  for (let i = 0; i < 20; i += 1)
    await spool.stream('s').append({ batches: [{ bytes: filled(50_000, i), count: 1 }], cursor: null })
  await spool.close()
  const whole = readFileSync(file)
  for (const size of [whole.length - 4096, whole.length / 2, 8192, 4096, 10, 0]) {
    writeFileSync(file, whole.subarray(0, Math.floor(size)))
    // In a process of its own: what is tested is that it is not killed.
    const script = `import { openSpool } from ${JSON.stringify(import.meta.resolve('./mod.ts'))}
      try {
        const spool = await openSpool({ path: ${JSON.stringify(path)}, bytesMax: ${10 * MIB} })
        console.log('opened', spool.stream('s').read({ seq: 1, bytesMax: ${10 * MIB} }).length)
      } catch (fault) {
        console.log(fault.code)
      }`
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
    t.match(
      child.stdout,
      size >= whole.length / 2 ? /^opened 20\n$/ : /^(SPOOL_CORRUPT|SPOOL_IO)\n$/,
      `${size} bytes: ${child.stdout.trim()}`,
    )
    t.equal(child.signal, null)
  }
})
