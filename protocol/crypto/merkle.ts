// Merkle trees as RFC 9162 section 2.1 defines them: leaf hash = H(0x00 ‖ entry), node hash = H(0x01 ‖ left ‖ right), the
// left subtree holds the largest power of two smaller than n. Callers hand over entries that already begin with the 0x00
// prefix, so that a leaf is hashed where it lies. Hashes are latin1 strings of 32 characters: see `Suite.digestLatin1`.

import { cryptoFault } from './faults.ts'
import { DIGEST_BYTES, type Suite } from './suite.ts'

/** The first byte of every entry. */
export const LEAF_PREFIX = 0x00
const NODE_PREFIX = 0x01

const pair = Buffer.alloc(1 + 2 * DIGEST_BYTES, NODE_PREFIX)

/** H(0x01 ‖ left ‖ right). */
export function nodeHash(suite: Suite, left: string, right: string): string {
  pair.write(left, 1, 'latin1')
  pair.write(right, 1 + DIGEST_BYTES, 'latin1')
  return suite.digestLatin1(pair)
}

/** The root over `leaves` (at least one), computed level by level; `leaves` is used as scratch and destroyed. */
export function merkleRoot(suite: Suite, leaves: string[]): string {
  let width = leaves.length
  while (width > 1) {
    let write = 0
    for (let read = 0; read + 1 < width; read += 2) {
      leaves[write++] = nodeHash(suite, leaves[read] as string, leaves[read + 1] as string)
    }
    if (width & 1) leaves[write++] = leaves[width - 1] as string
    width = write
  }
  return leaves[0] as string
}

/**
 * The hashes a verifier needs beside the leaves at `indexes` (ascending, unique): the roots of the largest subtrees without
 * a chosen leaf, left to right. The tree's own shape says where each belongs, so no positions are sent.
 */
export function multiProof(suite: Suite, leaves: readonly string[], indexes: readonly number[]): string[] {
  const proof: string[] = []
  const walk = (from: number, to: number, first: number, last: number): void => {
    if (first === last) {
      proof.push(merkleRoot(suite, leaves.slice(from, to)))
      return
    }
    if (to - from === 1) return
    const middle = from + splitAt(to - from)
    const border = lowerBound(indexes, middle, first, last)
    walk(from, middle, first, border)
    walk(middle, to, border, last)
  }
  walk(0, leaves.length, 0, indexes.length)
  return proof
}

/**
 * The root that `chosen` leaves at `indexes` (ascending, unique, below `count`) and `proof` lead to.
 * Faults: `PROOF_INVALID` when the proof has too few or too many hashes.
 */
export function rootFromProof(
  suite: Suite,
  count: number,
  indexes: readonly number[],
  chosen: readonly string[],
  proof: readonly string[],
): string {
  let used = 0
  const walk = (from: number, to: number, first: number, last: number): string => {
    if (first === last) {
      const hash = proof[used++]
      if (hash === undefined) throw cryptoFault('PROOF_INVALID', { why: 'too few hashes' })
      return hash
    }
    if (to - from === 1) return chosen[first] as string
    const middle = from + splitAt(to - from)
    const border = lowerBound(indexes, middle, first, last)
    const left = walk(from, middle, first, border)
    return nodeHash(suite, left, walk(middle, to, border, last))
  }
  const root = walk(0, count, 0, indexes.length)
  if (used !== proof.length) throw cryptoFault('PROOF_INVALID', { why: 'too many hashes' })
  return root
}

/** The largest power of two smaller than `n` (n ≥ 2). */
function splitAt(n: number): number {
  return 1 << (31 - Math.clz32(n - 1))
}

function lowerBound(sorted: readonly number[], value: number, first: number, last: number): number {
  let low = first
  let high = last
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] as number) < value) low = middle + 1
    else high = middle
  }
  return low
}
