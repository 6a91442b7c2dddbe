import t from 'tap'
import { ChunkArena } from './arena.ts'

const MIB = 1024 * 1024

t.test('what comes finds room when copies of files here have taken all of the block', async (t) => {
  const arena = new ChunkArena(100 * MIB)
  const copies: Buffer[] = []
  for (let copy = arena.tryAllocate(MIB); copy !== null; copy = arena.tryAllocate(MIB)) copies.push(copy)
  t.equal(arena.usedBytes, arena.bytes)
  const arrived = arena.allocate(3 * MIB)
  t.equal(arrived.length, 3 * MIB)
  t.notOk(copies.some(({ buffer }) => buffer === arrived.buffer))
  for (const buffer of [arrived, ...copies]) arena.free(buffer)
  t.equal(arena.usedBytes, 0)
  t.equal(arena.tryAllocate(MIB)?.buffer, copies[0]?.buffer, 'the block is free again')
})

t.test('small contents take little memory, and use it again', async (t) => {
  t.equal(new ChunkArena(0).bytes, 0)
  t.equal(new ChunkArena(200_000).bytes, 7 * 64 * 1024)
  t.equal(new ChunkArena(MIB).bytes, 2 * MIB)
  t.equal(new ChunkArena(2 ** 40).bytes, 40 * MIB)
  const arena = new ChunkArena(1)
  const buffer = arena.allocate(1)
  t.equal(buffer.length, 1)
  arena.release()
  t.not(new ChunkArena(1).allocate(1).buffer, buffer.buffer, 'it is in use')
  arena.free(buffer)
  arena.release()
  t.equal(new ChunkArena(1).allocate(1).buffer, buffer.buffer)
  t.not(new ChunkArena(1).allocate(1).buffer, buffer.buffer, 'it is in use again')
})
