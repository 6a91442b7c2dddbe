// The specification says what the code does, as far as that can be checked by a program.

import { readFileSync } from 'node:fs'
import t from 'tap'
import { frameRules } from '#protocol/frame/mod.ts'
import { documentText, filled } from './generate.ts'

const text = documentText()

t.test('its generated parts are not stale', async (t) =>
  t.ok(filled(text) === text, 'run node protocol/spec/generate.ts'),
)

t.test('a stale part is noticed', async (t) => {
  t.not(filled(text.replace('0x12', '0x99')), text.replace('0x12', '0x99'))
  t.throws(() => filled(text.replace('<!-- generated: kinds -->', '')), /no part kinds/)
  t.throws(() => filled(text.replace('generated: kinds', 'generated: sorts')), /no part sorts/)
})

t.test('every kind of frame and every message and field of the .proto files is mentioned', async (t) => {
  for (const [, { name }] of frameRules) {
    const mentions = text.split(new RegExp(`\\b${name}\\b`)).length - 1
    t.ok(mentions >= 2, `${name}: ${mentions}`)
  }
  for (const file of ['handshake', 'session', 'transfer']) {
    const proto = readFileSync(new URL(`../schema/${file}.proto`, import.meta.url), 'utf8')
    for (const [, name] of proto.matchAll(/^\s+(?:repeated )?[\w.]+ (\w+) = \d+;/gm)) {
      t.ok(new RegExp(`\\b${name}\\b`).test(text), `field ${name}`)
    }
  }
})

t.test('lines are short enough to read', async (t) => {
  for (const [i, line] of text.split('\n').entries())
    if (line.length > 124) t.fail(`line ${i + 1}: ${line.length} characters`)
})

t.test('no word stands there twice', async (t) => {
  const prose = text.replace(/```[\s\S]*?```/g, '').replace(/^\|.*$/gm, '')
  t.strictSame(
    [...prose.matchAll(/(?<![\p{L}`*])(\p{L}{2,})\s+\1(?![\p{L}`*])/gu)].map(([twice]) => twice),
    [],
  )
})

t.test('the links within it lead somewhere', async (t) => {
  const anchors = new Set(
    [...text.matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
      (title as string)
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
  for (const [, anchor] of text.matchAll(/\]\(#([^)]+)\)/g)) t.ok(anchors.has(anchor as string), `#${anchor}`)
})

t.test('the example is the vector', async (t) => {
  const { batches } = JSON.parse(readFileSync(new URL('./vectors.json', import.meta.url), 'utf8')) as {
    batches: { name: string; bytes: string }[]
  }
  const bytes = Buffer.from(batches.find(({ name }) => name === 'minimal')?.bytes ?? '', 'hex')
  const section = text.slice(text.indexOf('### 10.6 Example'), text.indexOf('## 11.'))
  let shown = 0
  for (const [, offset, parts] of section.matchAll(/^([0-9a-f]{3}) {2}(\S+(?: \S+)*) {2,}/gm)) {
    const wanted = (parts as string)
      .split(' ')
      .map((part) =>
        part.startsWith('"') ? Buffer.from(JSON.parse(part) as string).toString('hex') : part.replace(/[|…]/g, ''),
      )
      .join('')
    const at = Number.parseInt(offset as string, 16)
    t.equal(bytes.toString('hex', at, at + wanted.length / 2), wanted, `at ${offset}`)
    shown++
  }
  t.equal(shown, 15)
})
