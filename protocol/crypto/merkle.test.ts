// Trees against known answers of Certificate Transparency and against the recursive definition, computed here with
// node:crypto alone.

import { createHash } from 'node:crypto'
import t from 'tap'
import { faultCode, Random, testSeed } from '#protocol/bytes/testing.ts'
import { ed25519, merkleRoot, multiProof, rootFromProof } from './mod.ts'

const sha = (...parts: Uint8Array[]): Buffer => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

/** RFC 9162 section 2.1.1, word by word. */
function plainRoot(entries: readonly Buffer[]): Buffer {
  const n = entries.length
  if (n === 1) return sha(Buffer.from([0]), entries[0] as Buffer)
  let k = 1
  while (k * 2 < n) k *= 2
  return sha(Buffer.from([1]), plainRoot(entries.slice(0, k)), plainRoot(entries.slice(k)))
}

/** RFC 9162 section 2.1.3.1: the path of one entry, nearest hash first. */
function plainPath(m: number, entries: readonly Buffer[]): Buffer[] {
  const n = entries.length
  if (n === 1) return []
  let k = 1
  while (k * 2 < n) k *= 2
  return m < k
    ? [...plainPath(m, entries.slice(0, k)), plainRoot(entries.slice(k))]
    : [...plainPath(m - k, entries.slice(k)), plainRoot(entries.slice(0, k))]
}

const leavesOf = (entries: readonly Buffer[]): string[] =>
  entries.map((entry) => ed25519.digestLatin1(Buffer.concat([Buffer.from([0]), entry])))
const hex = (latin1: string): string => Buffer.from(latin1, 'latin1').toString('hex')
const entriesOf = (n: number): Buffer[] => Array.from({ length: n }, (_, i) => Buffer.from(`entry ${i}`))

t.test('known answers of Certificate Transparency', async (t) => {
  const inputs = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
  const roots = [
    '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
    'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
    '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
    'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
    '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
  ]
  const entries = inputs.map((input) => Buffer.from(input, 'hex'))
  roots.forEach((root, i) => {
    t.equal(hex(merkleRoot(ed25519, leavesOf(entries.slice(0, i + 1)))), root, `${i + 1} entries`)
    t.equal(plainRoot(entries.slice(0, i + 1)).toString('hex'), root)
  })
})

t.test('every size up to 260 has the root of the recursive definition', async (t) => {
  for (let n = 1; n <= 260; n++) {
    const entries = entriesOf(n)
    if (hex(merkleRoot(ed25519, leavesOf(entries))) !== plainRoot(entries).toString('hex')) t.fail(`${n} entries`)
  }
  t.pass()
})

t.test('a proof of one entry is its path, left to right', async (t) => {
  for (let n = 1; n <= 40; n++) {
    const entries = entriesOf(n)
    for (let m = 0; m < n; m++) {
      const proof = multiProof(ed25519, leavesOf(entries), [m]).map(hex)
      const path = plainPath(m, entries).map((hash) => hash.toString('hex'))
      if ([...proof].sort().join() !== [...path].sort().join()) return t.fail(`entry ${m} of ${n}`)
    }
  }
  t.pass()
})

/** Proves `indexes` and tries every single change to the proof; gives what is wrong, or null. */
function check(leaves: readonly string[], indexes: readonly number[]): string | null {
  const n = leaves.length
  const root = merkleRoot(ed25519, [...leaves])
  const proof = multiProof(ed25519, leaves, indexes)
  const chosen = indexes.map((i) => leaves[i] as string)
  const rebuilt = (of: readonly string[], by: readonly string[]): string => rootFromProof(ed25519, n, indexes, of, by)
  if (rebuilt(chosen, proof) !== root) return 'does not prove'
  if (faultCode(() => rebuilt(chosen, [...proof, root])) !== 'PROOF_INVALID') return 'takes one hash too many'
  if (proof.length > 0 && faultCode(() => rebuilt(chosen, proof.slice(1))) !== 'PROOF_INVALID') return 'takes too few'
  const other = hex(root).slice(0, 32)
  for (let i = 0; i < proof.length; i++) if (rebuilt(chosen, proof.with(i, other)) === root) return `ignores hash ${i}`
  for (let i = 0; i < chosen.length; i++) if (rebuilt(chosen.with(i, other), proof) === root) return `ignores leaf ${i}`
  return null
}

t.test('every subset of up to 9 entries proves, and no changed proof does', async (t) => {
  let subsets = 0
  for (let n = 1; n <= 9; n++) {
    const leaves = leavesOf(entriesOf(n))
    for (let mask = 1; mask < 1 << n; mask++) {
      const indexes = leaves.map((_, i) => i).filter((i) => (mask >> i) & 1)
      const wrong = check(leaves, indexes)
      if (wrong !== null) return t.fail(`${indexes} of ${n} ${wrong}`)
      subsets++
    }
  }
  t.equal(subsets, 1013)
})

t.test('random subsets of larger trees', async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  for (let round = 0; round < 150; round++) {
    const leaves = leavesOf(entriesOf(10 + random.below(200)))
    const sparse = 1 + random.below(12)
    const indexes = leaves.map((_, i) => i).filter(() => random.oneIn(sparse))
    if (indexes.length === 0) indexes.push(random.below(leaves.length))
    const wrong = check(leaves, indexes)
    if (wrong !== null) return t.fail(`${indexes} of ${leaves.length} ${wrong}`)
  }
  t.pass('150 trees')
})

t.test('a proof holds only for its own places; the count is for the signed head to say', async (t) => {
  const leaves = leavesOf(entriesOf(7))
  const root = merkleRoot(ed25519, [...leaves])
  const proof = multiProof(ed25519, leaves, [2, 5])
  const chosen = [leaves[2] as string, leaves[5] as string]
  let others = 0
  for (let n = 2; n <= 16; n++) {
    for (let a = 0; a < n; a++) {
      for (let b = a + 1; b < n; b++) {
        if (n === 7 && a === 2 && b === 5) continue
        let found: string | null = null
        const code = faultCode(() => {
          found = rootFromProof(ed25519, n, [a, b], chosen, proof)
        })
        // A tree of 8 whose last two entries hash to the seventh of this one looks the same from here.
        const lookalike = n === 8 && a === 2 && b === 5
        if (code === null && (found === root) !== lookalike) t.fail(`${a}, ${b} of ${n}`)
        others++
      }
    }
  }
  t.ok(others > 500)
})
