// Damage for bytes that were valid: what lines, disks, faulty senders and people with patience do to them.

import type { Random } from '#protocol/bytes/testing.ts'

/** Values at which parsers break. */
const EDGES = [
  0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff,
]
/** Varints at their borders: too long, too large, cut, not minimal, 2^53-1. */
const VARINTS = [
  '8000',
  '80808000',
  'ffffffffffffff0f',
  'ffffffffffffff10',
  '8080808080808080',
  'ff',
  '8001',
  'ffff03',
  '808004',
].map((hex) => Buffer.from(hex, 'hex'))

type Mutation = (random: Random, bytes: Buffer, other: Buffer) => Buffer

const changed = (bytes: Buffer, change: (copy: Buffer) => void): Buffer => {
  const copy = Buffer.from(bytes)
  change(copy)
  return copy
}

const between = (random: Random, bytes: Buffer): [number, number] => {
  const from = random.below(bytes.length + 1)
  return [from, Math.min(bytes.length, from + random.below(random.oneIn(4) ? bytes.length + 1 : 9))]
}

const flipBit: Mutation = (random, bytes) =>
  changed(bytes, (copy) => {
    const at = random.below(copy.length)
    copy[at] = (copy[at] as number) ^ (1 << random.below(8))
  })

const setByte: Mutation = (random, bytes) =>
  changed(bytes, (copy) => {
    copy[random.below(copy.length)] = random.oneIn(2) ? random.pick(EDGES) & 0xff : random.u32() & 0xff
  })

/** A byte a little more or less: counts and lengths that are almost right. */
const nudge: Mutation = (random, bytes) =>
  changed(bytes, (copy) => {
    const at = random.below(copy.length)
    copy[at] = (copy[at] as number) + random.below(5) - 2
  })

const setNumber: Mutation = (random, bytes) =>
  changed(bytes, (copy) => {
    const size = random.pick([2, 4, 8])
    if (copy.length < size) return
    const at = random.below(copy.length - size + 1)
    const value = random.pick(EDGES)
    if (size === 2) copy.writeUInt16LE(value & 0xffff, at)
    else copy.writeUInt32LE(value, at)
    if (size === 8) copy.writeUInt32LE(random.pick(EDGES), at + 4)
  })

const varint: Mutation = (random, bytes) => {
  const at = random.below(bytes.length + 1)
  const replaced = random.below(3)
  return Buffer.concat([bytes.subarray(0, at), random.pick(VARINTS), bytes.subarray(at + replaced)])
}

const truncate: Mutation = (random, bytes) => bytes.subarray(0, random.below(bytes.length + 1))

const extend: Mutation = (random, bytes) => Buffer.concat([bytes, random.bytes(1 + random.below(12))])

const remove: Mutation = (random, bytes) => {
  const [from, to] = between(random, bytes)
  return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)])
}

const repeat: Mutation = (random, bytes) => {
  const [from, to] = between(random, bytes)
  return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)])
}

const splice: Mutation = (random, bytes, other) => {
  const [from, to] = between(random, bytes)
  const [start, end] = between(random, other)
  return Buffer.concat([bytes.subarray(0, from), other.subarray(start, end), bytes.subarray(to)])
}

const cross: Mutation = (random, bytes, other) => {
  const at = random.below(Math.min(bytes.length, other.length) + 1)
  return Buffer.concat([bytes.subarray(0, at), other.subarray(at)])
}

const MUTATIONS = [
  flipBit,
  flipBit,
  setByte,
  nudge,
  nudge,
  setNumber,
  varint,
  truncate,
  extend,
  remove,
  repeat,
  splice,
  cross,
]

/** One to four changes to `bytes`; `other` lends parts. Never longer than both together and a little. */
export function mutated(random: Random, bytes: Buffer, other: Buffer = bytes): Buffer {
  let out = bytes
  const most = bytes.length + other.length + 64
  for (let rounds = 1 + (random.oneIn(3) ? random.below(4) : 0); rounds > 0; rounds--) {
    const mutation = random.pick(MUTATIONS)
    if (out.length === 0 && (mutation === flipBit || mutation === setByte || mutation === nudge)) continue
    out = mutation(random, out, other).subarray(0, most)
  }
  return out
}
