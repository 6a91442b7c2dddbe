// The direct way against JSONata itself, on random expressions and rows.

import jsonata from 'jsonata'
import t from 'tap'
import type { Row, Value } from '../contract.ts'
import { randomFrom } from '../support/testing.ts'
import { compileDirect, UNSURE } from './direct.ts'

t.test('which expressions need no JSONata', async (t) => {
  for (const text of [
    'code',
    'a.b.c',
    '"x"',
    '12',
    '-3',
    'null',
    'true',
    '`odd name`',
    '$substring(code, 0, 4)',
    '$substring(a.b, -2)',
  ]) {
    t.not(compileDirect(jsonata(text).ast()), null, text)
  }
  for (const text of [
    'a = "x" and (b != 1 or c in ["u", "v"])',
    'a & "-" & b',
    'a > 5 ? "big" : "small"',
    '$uppercase(a)',
  ]) {
    t.not(compileDirect(jsonata(text).ast()), null, text)
  }
  for (const text of [
    'a[0]',
    'a[b=1]',
    '*',
    '$',
    '$$.a',
    'a.(b)',
    '$sum(a)',
    'a.b{c: d}',
    'a^(b)',
    'a.$substring(b, 1)',
    'a@$x.b',
    '[a]',
    'a[]',
  ]) {
    t.equal(compileDirect(jsonata(text).ast()), null, text)
  }
})

t.test('never another answer than JSONata', async (t) => {
  const seed = 440_000
  const random = randomFrom(seed)
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T
  const names = ['a', 'b', 'c', 'constructor']
  const scalar = (): Value =>
    pick<Value>(['', 'x', '4452', '村𠮷林', 0, 1, -0, 2.5, 1e21, -7, true, false, null, 9007199254740993n, 'ß', 'İ'])
  const value = (depth: number): Value => {
    const kind = random()
    if (depth > 0 && kind < 0.15) return Object.fromEntries(names.slice(0, 2).map((name) => [name, value(depth - 1)]))
    if (depth > 0 && kind < 0.25) return Array.from({ length: Math.floor(random() * 3) }, () => value(depth - 1))
    return kind < 0.28 ? new Uint8Array([1]) : scalar()
  }
  const leaf = (): string =>
    pick([
      'a',
      'b',
      'c',
      'a.b',
      'b.a.b',
      'nowhere',
      'constructor',
      '"x"',
      '"4452"',
      '1',
      '0',
      '-7',
      '2.5',
      'true',
      'null',
      '""',
    ])
  const expression = (depth: number): string => {
    if (depth === 0 || random() < 0.2) return leaf()
    const sub = (): string => expression(depth - 1)
    switch (Math.floor(random() * 7)) {
      case 0:
        return `(${sub()} ${pick(['=', '!=', '<', '<=', '>', '>='])} ${sub()})`
      case 1:
        return `(${sub()} ${pick(['and', 'or'])} ${sub()})`
      case 2:
        return `(${sub()} & ${sub()})`
      case 3:
        return `$substring(${sub()}, ${pick([0, 1, 2, -1, -3, 9])}${pick(['', ', 0', ', 1', ', 2', ', -1', ', 9'])})`
      case 4:
        return `(${sub()} in ["x", "4452", 1, -7])`
      case 5:
        return `(${sub()} ? ${sub()}${pick(['', ` : ${sub()}`])})`
      default:
        return `$${pick(['uppercase', 'lowercase'])}(${sub()})`
    }
  }
  let certain = 0
  let cases = 0
  for (let i = 0; i < 1_500; i += 1) {
    const text = expression(3)
    const compiled = jsonata(text)
    const direct = compileDirect(compiled.ast())
    if (direct === null) {
      t.fail(`no direct way for ${text}`)
      continue
    }
    for (let j = 0; j < 4; j += 1) {
      const row: Row = Object.fromEntries(names.filter(() => random() < 0.8).map((name) => [name, value(2)]))
      const ours = direct(row)
      cases += 1
      if (ours === UNSURE) continue
      certain += 1
      let theirs: unknown
      try {
        theirs = await compiled.evaluate(row)
      } catch (error) {
        theirs = `error ${(error as { code?: string }).code}`
      }
      if (!Object.is(ours, theirs)) t.same([ours], [theirs], `seed ${seed}: ${text} on ${String(Object.entries(row))}`)
    }
  }
  t.ok(certain > cases * 0.4, `${certain} of ${cases} took the direct way`)
})
