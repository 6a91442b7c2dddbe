import { createHmac } from 'node:crypto'
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { LINK_MS_MAX, LINKS_MADE_MAX, LINKS_REVOKED_MAX } from './limits.ts'
import { openLinks } from './links.ts'

const NOW = Date.UTC(2026, 5, 1)
const DAY_MS = 86_400_000
const CONTENT = 'ab'.repeat(16)
const upload = {
  kind: 'upload',
  topic: '许可/scans',
  headers: { 区: '北' },
  bytesMax: 1000,
  uses: 1,
  expiresAtMs: NOW + DAY_MS,
} as const
const code = (code: string) => ({ code })

t.test('a token says what its link allows, to every process with the folder', (t) => {
  const folder = t.testdir()
  const { token, id } = openLinks(folder).make(upload, NOW)
  t.match(token, /^[A-Za-z0-9_-]+$/)
  t.strictSame(openLinks(folder).read(token, NOW), { ...upload, id })
  t.equal(statSync(join(folder, 'links.key')).mode & 0o777, 0o600)
  t.equal(statSync(join(folder, 'links.key')).size, 32)
  const download = openLinks(folder).make({ kind: 'download', content: CONTENT, expiresAtMs: NOW + 1 }, NOW)
  t.match(openLinks(folder).read(download.token, NOW), { kind: 'download', content: CONTENT })
  t.not(download.id, id)
  t.end()
})

t.test('what was tampered with, cut, spelt otherwise or made with another key is refused', (t) => {
  const folder = t.testdir()
  const links = openLinks(folder)
  const { token } = links.make(upload, NOW)
  const bytes = Buffer.from(token, 'base64url')
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes)
    changed[at] = (changed[at] as number) ^ 1
    t.throws(() => links.read(changed.toString('base64url'), NOW), code('LINK_INVALID'))
  }
  const other = openLinks(t.testdir({ other: {} })).make(upload, NOW).token
  for (const bad of [
    '',
    'a',
    token.slice(1),
    token.slice(0, -1),
    `${token}A`,
    `${token}=`,
    `${token} `,
    other,
    'A'.repeat(9999),
  ]) {
    t.throws(() => links.read(bad, NOW), code('LINK_INVALID'), bad.slice(0, 20))
  }
  t.end()
})

t.test('a hub without links has no key and reads none', (t) => {
  t.throws(() => openLinks(t.testdir()).read('AAAA', NOW), code('LINK_INVALID'))
  t.end()
})

t.test('a payload of a later version is no link, even when its HMAC is right', (t) => {
  const folder = t.testdir()
  const links = openLinks(folder)
  links.make(upload, NOW)
  const payload = Buffer.from(JSON.stringify([2, 'upload', 'x', NOW + DAY_MS]))
  const mac = createHmac('sha256', readFileSync(join(folder, 'links.key')))
    .update('causeway link v1\0')
    .update(payload)
    .digest()
  t.throws(() => links.read(Buffer.concat([payload, mac]).toString('base64url'), NOW), code('LINK_INVALID'))
  t.end()
})

t.test('links expire by the clock they are given', (t) => {
  const links = openLinks(t.testdir())
  const { token } = links.make(upload, NOW)
  t.ok(links.read(token, NOW + DAY_MS))
  t.throws(() => links.read(token, NOW + DAY_MS + 1), code('LINK_EXPIRED'))
  t.end()
})

t.test('a revoked link is refused at once by processes that are running, with what was made of it', (t) => {
  const folder = t.testdir()
  const running = openLinks(folder)
  const { token, id } = running.make(upload, NOW)
  const other = running.make(upload, NOW)
  const link = running.read(token, NOW)
  const part = link.kind === 'upload' ? running.part(link, CONTENT, NOW + DAY_MS) : ''
  t.match(running.read(part, NOW), { kind: 'part', id, content: CONTENT })
  openLinks(folder).revoke(id, NOW)
  openLinks(folder).revoke(id, NOW)
  for (const one of [token, part]) t.throws(() => running.read(one, NOW), code('LINK_REVOKED'))
  t.throws(() => running.check(link, NOW), code('LINK_REVOKED'))
  t.ok(running.read(other.token, NOW))
  t.equal(readFileSync(join(folder, 'links.revoked'), 'utf8'), `${id} ${NOW}\n`)
  t.end()
})

t.test('the list of revoked links is bounded: what has expired long ago is left out', (t) => {
  const folder = t.testdir()
  const links = openLinks(folder)
  const { id, token } = links.make(upload, NOW)
  const line = (at: number, i: number) => `${String(i).padStart(16, 'x')} ${at}\n`
  const full = (at: number) => Array.from({ length: LINKS_REVOKED_MAX }, (_, i) => line(at, i)).join('')
  writeFileSync(join(folder, 'links.revoked'), full(NOW - 1))
  t.throws(() => links.revoke(id, NOW), code('LINKS_REVOKED_FULL'))
  writeFileSync(join(folder, 'links.revoked'), full(NOW - LINK_MS_MAX))
  links.revoke(id, NOW)
  t.equal(readFileSync(join(folder, 'links.revoked'), 'utf8'), `${id} ${NOW}\n`)
  t.throws(() => links.read(token, NOW), code('LINK_REVOKED'))
  t.end()
})

t.test('what cannot be a link is not made', (t) => {
  const links = openLinks(t.testdir())
  for (const expiresAtMs of [NOW, NOW - 1, NOW + LINK_MS_MAX + 1, Number.NaN]) {
    t.throws(() => links.make({ ...upload, expiresAtMs }, NOW), code('LINK_SETTING'))
  }
  t.throws(() => links.make({ kind: 'download', content: 'AB', expiresAtMs: NOW + 1 }, NOW), code('LINK_SETTING'))
  t.throws(() => links.make({ ...upload, topic: 'x'.repeat(4000) }, NOW), code('LINK_SETTING'))
  for (const id of ['', 'short', '../../../../../x', `${'x'.repeat(16)}\n`]) {
    t.throws(() => links.revoke(id, NOW), code('LINK_SETTING'), JSON.stringify(id))
  }
  t.end()
})

t.test(
  'a key that others may read is refused',
  { skip: process.platform === 'win32' ? 'no modes there' : false },
  (t) => {
    const folder = t.testdir()
    openLinks(folder).make(upload, NOW)
    chmodSync(join(folder, 'links.key'), 0o644)
    t.throws(() => openLinks(folder).make(upload, NOW), code('KEY_EXPOSED'))
    t.end()
  },
)

t.test('links that were made are listed, without what they allow', (t) => {
  const folder = t.testdir()
  const links = openLinks(folder)
  t.strictSame(links.made(), [])
  const first = links.make(upload, NOW, 'chen')
  const second = openLinks(folder).make({ kind: 'download', content: CONTENT, expiresAtMs: NOW + 5 }, NOW + 1)
  t.match(links.made(), [
    {
      id: first.id,
      kind: 'upload',
      madeAtMs: NOW,
      madeBy: 'chen',
      expiresAtMs: NOW + DAY_MS,
      topic: '许可/scans',
      bytesMax: 1000,
      uses: 1,
      content: null,
    },
    { id: second.id, kind: 'download', madeBy: '', topic: null, uses: 0, content: CONTENT },
  ])
  const path = join(folder, 'links.made')
  t.equal(statSync(path).mode & 0o777, 0o600)
  const text = readFileSync(path, 'utf8')
  for (const { token } of [first, second]) {
    // Nor what the token is made of.
    const mac = Buffer.from(token, 'base64url').subarray(-32)
    for (const secret of [token, mac.toString('base64url'), mac.toString('hex')]) t.notOk(text.includes(secret))
  }
  writeFileSync(path, `${text}\n{"id":"cut`)
  const third = links.make(upload, NOW)
  t.strictSame(
    links.made().map(({ id }) => id),
    [first.id, second.id, third.id],
    'a line that a kill has cut spoils no other',
  )
  t.end()
})

t.test('the list of links is bounded: those that have expired make room', (t) => {
  const folder = t.testdir()
  const links = openLinks(folder)
  const { id } = links.make({ ...upload, expiresAtMs: NOW + 10 }, NOW)
  const [line = ''] = readFileSync(join(folder, 'links.made'), 'utf8').split('\n').filter(Boolean)
  const good = JSON.stringify({ ...JSON.parse(line), id: 'x', expiresAtMs: NOW + DAY_MS })
  writeFileSync(join(folder, 'links.made'), `${line}\n${`${good}\n`.repeat(LINKS_MADE_MAX - 1)}`)
  t.throws(() => links.make(upload, NOW + 5), code('LINKS_FULL'))
  const next = links.make(upload, NOW + 11)
  const made = links.made()
  t.equal(made.length, LINKS_MADE_MAX)
  t.notOk(made.some((one) => one.id === id))
  t.equal(made.at(-1)?.id, next.id)
  t.end()
})
