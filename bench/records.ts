// Bodies that look like what offices exchange: rows of permits as JSON, no two alike. The same seed gives the same rows.
// Compression finds field names and digits in them, as it does in real ones; a body of one repeated byte would flatter it.

import { Random } from '#protocol/bytes/testing.ts'

const FAMILY = ['Wang', 'Li', 'Zhang', 'Liu', 'Chen', 'Yang', 'Zhao', 'Huang', 'Zhou', 'Wu', 'Xu', 'Sun', 'Hu', 'Zhu']
const GIVEN = ['Wei', 'Fang', 'Na', 'Min', 'Jing', 'Qiang', 'Lei', 'Jun', 'Yang', 'Yong', 'Yan', 'Jie', 'Juan', 'Tao']
const KINDS = ['building', 'food', 'transport', 'fire-safety', 'waste', 'event', 'tree-felling', 'signage', 'well']
const STATES = ['received', 'in review', 'returned', 'granted', 'refused', 'withdrawn']
const WORDS = `site plan attached applicant was asked to complete the form inspection on street corner second floor
  without objection from neighbours fee paid by transfer pending opinion of water authority valid for one year renewal
  replaces earlier permit parking spaces width of gate noise limit after ten hours load bearing wall north side
  boundary stone survey of spring drainage depth`.split(/\s+/)

/**
 * `count` bodies of `bytes` each on average, a quarter less to a quarter more. The first four bytes are left to the
 * counter, the row follows.
 */
export function recordBodies({ count, bytes, seed }: { count: number; bytes: number; seed: number }): Buffer[] {
  const random = new Random(seed)
  return Array.from({ length: count }, (_, i) => {
    const length = Math.round(bytes * (0.75 + random.below(501) / 1000))
    const body = Buffer.alloc(length)
    body.write(rowOf(random, i, length), 4)
    return body
  })
}

function rowOf(random: Random, i: number, length: number): string {
  const pick = (list: readonly string[]) => list[random.below(list.length)] as string
  const digits = (n: number) => Array.from({ length: n }, () => random.below(10)).join('')
  const day = `${2019 + random.below(8)}-${two(1 + random.below(12))}-${two(1 + random.below(28))}`
  const row = {
    id: `${320_100 + random.below(900)}-${digits(9)}`,
    applicant: `${pick(FAMILY)} ${pick(GIVEN)}`,
    kind: pick(KINDS),
    state: pick(STATES),
    filed: `${day}T${two(random.below(24))}:${two(random.below(60))}:${two(random.below(60))}+08:00`,
    fee: random.below(1_000_000) / 100,
    area: random.below(100_000) / 10,
    seq: i,
    note: '',
  }
  let note = ''
  while (note.length < length) note += `${pick(WORDS)} `
  const used = JSON.stringify(row).length
  return JSON.stringify({ ...row, note: note.slice(0, Math.max(0, length - 4 - used)) })
}

const two = (n: number): string => String(n).padStart(2, '0')
