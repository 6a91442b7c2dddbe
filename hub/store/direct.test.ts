import { closeSync, constants, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import { DirectWriter } from './direct.ts'
import { DISK_PAGE_BYTES, WRITE_BYTES_MAX } from './limits.ts'
import { SegmentFiles } from './segment-files.ts'

/** What this machine can do where tests keep their files. */
const supported = (() => {
  const folder = t.testdir()
  const path = join(folder, 'asked')
  writeFileSync(path, '')
  const direct = new DirectWriter().open(path)
  if (direct !== null) closeSync(direct.handle)
  return direct !== null
})()

const skip = supported ? false : 'O_DIRECT is not to be had here'
/** One with which something was left out on a page whose rest was not known to be zeros; and another each time. */
for (const seed of [567_718_427, testSeed()]) {
  t.test(`what is written in pieces of any size and place reads back as written, seed ${seed}`, { skip }, async (t) => {
    const folder = t.testdir()
    const random = new Random(seed)
    const path = join(folder, 'file')
    const image = Buffer.alloc(12 * 1024 * 1024)
    writeFileSync(path, image)
    const reader = openSync(path, 'r')
    const writer = new DirectWriter()
    let file = writer.open(path)
    if (file === null) throw new Error('it could be opened before')
    for (let at = DISK_PAGE_BYTES; at < image.length - WRITE_BYTES_MAX; ) {
      const pieces = Array.from({ length: 1 + random.below(4) }, () => {
        const size = random.below(3) === 0 ? random.below(2 * 1024 * 1024) : random.below(9000)
        return Buffer.alloc(size, 1 + random.below(255))
      })
      const all = Buffer.concat(pieces).subarray(0, WRITE_BYTES_MAX)
      for (let done = 0; done < all.length; ) {
        const written = await writer.write(file, [all.subarray(done)], at + done, reader)
        if (written === null) throw new Error('it could be written before')
        done += written
      }
      all.copy(image, at)
      at += all.length
      // Sometimes what lies on the page is known from the file only, sometimes something is left out.
      if (random.below(4) === 0) {
        writer.close(file)
        file = writer.open(path)
        if (file === null) throw new Error('it could be opened before')
      }
      if (random.below(4) === 0) at += 64 * random.below(200)
    }
    writer.close(file)
    closeSync(reader)
    t.ok(readFileSync(path).equals(image))
  })
}

t.test('through the page cache where it cannot be had', async (t) => {
  const folder = t.testdir()
  const files = new SegmentFiles(join(folder, 'segments'))
  const owner = { number: 1, capacity: 64 * 1024, users: 0 }
  const direct = files as unknown as { directWriter: DirectWriter }
  // As if no place in memory were aligned: what a file system says that takes the flag and then refuses every write.
  const opened = openSync(join(folder, 'elsewhere'), constants.O_WRONLY | constants.O_CREAT)
  closeSync(opened)
  let closed = 0
  direct.directWriter = Object.assign(new DirectWriter(), {
    open: () => (closed === 0 ? { handle: opened, page: Buffer.alloc(0), pageAt: -1 } : null),
    write: () => Promise.resolve(null),
    close: () => void closed++,
  })
  t.equal(await files.write(owner, [Buffer.from('abc'), Buffer.from('def')], 100), 6)
  t.equal(await files.write(owner, [Buffer.from('ghi')], 106), 3)
  t.equal(closed, 1)
  const bytes = Buffer.alloc(9)
  files.read(owner, bytes, 100)
  t.equal(`${bytes}`, 'abcdefghi')
  files.closeAll()
})
