// Who may what, what the page is, and what keeps strangers from holding the hub up.

import { writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { languageOf, uploadPage } from './page/page.ts'
import { ask, begin, DAY_MS, noise, offsetAt, patch, Stage, TUS } from './testing.ts'

const codeOf = (body: Buffer): string => (JSON.parse(body.toString()) as { code: string }).code

t.test('tokens that are none, tampered with, expired, revoked, or for something else', async (t) => {
  const stage = await Stage.open(t)
  const upload = stage.uploadLink()
  const download = stage.downloadLink('ab'.repeat(16))
  const { location } = await begin(stage, upload.path, 100)
  const part = location.slice('/upload/'.length)
  const post = { method: 'POST', headers: { ...TUS, 'upload-length': '10' } }
  const tampered = upload.path.replace(/.(?=.{9}$)/, (char) => (char === 'A' ? 'B' : 'A'))
  for (const path of [
    '/upload',
    '/upload/',
    '/upload/x',
    tampered,
    `${upload.path}/`,
    `${upload.path}?a=1`,
    `${upload.path}/../x`,
  ]) {
    const answer = await ask(stage.url(path), post)
    t.match([answer.status, codeOf(answer.body)], [403, 'LINK_INVALID'], path.slice(0, 30))
  }
  t.match(await ask(stage.url(`/upload/${download.token}`), post), { status: 404 }, 'a download link uploads nothing')
  t.match(await ask(stage.url(`/download/${upload.token}`)), { status: 404 }, 'an upload link downloads nothing')
  t.match(await ask(stage.url(`/download/${part}`)), { status: 404 })
  t.match(await ask(stage.url(location), post), { status: 405 }, 'who may go on with one upload begins no other')
  t.match(await ask(stage.url(upload.path), { method: 'PATCH', headers: TUS }), {
    status: 405,
    headers: { allow: 'GET, HEAD, POST, OPTIONS' },
  })
  t.match(await ask(stage.url(upload.path), { method: 'DELETE', headers: TUS }), { status: 405 })
  for (const path of ['/', '/uploads', '/assets', '/assets/../server.ts', '/healthz', '/favicon.ico']) {
    t.match(await ask(stage.url(path)), { status: 404 }, path)
  }
  stage.aheadMs = DAY_MS + 1000
  const expired = await ask(stage.url(upload.path))
  t.match([expired.status, codeOf(expired.body)], [410, 'LINK_EXPIRED'])
  t.equal(await offsetAt(stage, location), 0, 'what was begun in time may be finished')
  stage.aheadMs = 2 * DAY_MS + 2000
  t.equal(await offsetAt(stage, location), -410, 'in another day')
  stage.aheadMs = 0
  stage.links.revoke(upload.id, stage.nowMs())
  for (const path of [upload.path, location]) {
    const revoked = await ask(stage.url(path), { method: 'HEAD', headers: TUS })
    t.equal(revoked.status, 410)
  }
})

t.test('a token may come in a header instead', async (t) => {
  const stage = await Stage.open(t)
  const authorization = `Bearer ${stage.uploadLink().token}`
  const answer = await ask(stage.url('/upload'), {
    method: 'POST',
    headers: { ...TUS, 'upload-length': '3', authorization },
  })
  t.equal(answer.status, 201)
  t.match(await patch(stage, answer.headers.location ?? '', 0, Buffer.from('abc')), { status: 204 })
  const id = [...stage.contents.store.all()][0]?.id ?? ''
  const got = await ask(stage.url('/download'), {
    headers: { authorization: `bearer ${stage.downloadLink(id).token}` },
  })
  t.match([got.status, got.body.toString()], [200, 'abc'])
  for (const bad of ['Bearer', 'Bearer x', `Basic ${authorization}`, '']) {
    t.match(await ask(stage.url('/download'), { headers: { authorization: bad } }), { status: 403 })
  }
})

t.test('the page has all it needs, and nothing from elsewhere', async (t) => {
  const stage = await Stage.open(t)
  const { path, token } = stage.uploadLink()
  const page = await ask(stage.url(path), { headers: { 'accept-language': 'zh-CN,zh;q=0.9,en;q=0.8' } })
  t.match(page, { status: 200, headers: { 'content-type': 'text/html; charset=utf-8', 'content-language': 'zh-CN' } })
  const policy = page.headers['content-security-policy'] ?? ''
  t.match(policy, /default-src 'none'; script-src 'self'/)
  t.notMatch(policy, /unsafe|\*|http/)
  for (const language of ['en', 'zh-CN'] as const) {
    const html = uploadPage(language)
    t.notMatch(
      html,
      /https?:|\/\/|<script[^>]*>[^<]|\son\w+=|style=|javascript:/i,
      'nothing inline, nothing from elsewhere',
    )
    t.match(html, `<html lang="${language}">`)
    for (const [, loaded = ''] of html.matchAll(/(?:src|href)="([^"]*)"/g)) {
      const asset = await ask(stage.url(loaded))
      t.equal(asset.status, 200, loaded)
      t.notMatch(asset.body.toString(), /https?:|\beval\b|innerHTML|url\(/, loaded)
      t.equal(asset.headers['x-content-type-options'], 'nosniff')
    }
  }
  t.notMatch(page.body.toString(), token)
  t.match(page.body.toString(), '上传文件')
  t.match((await ask(stage.url(path))).body.toString(), 'Upload a file')
  t.match(await ask(stage.url(path), { method: 'HEAD' }), { status: 200 })
})

t.test('the language a browser likes best', async (t) => {
  for (const [accepted, language] of [
    [undefined, 'en'],
    ['', 'en'],
    ['de', 'en'],
    ['zh', 'zh-CN'],
    ['zh-TW', 'zh-CN'],
    ['en-GB,zh;q=0.5', 'en'],
    ['en;q=0.3, zh-CN;q=0.7', 'zh-CN'],
    ['de, zh;q=0', 'en'],
  ] as const) {
    t.equal(languageOf(accepted), language, String(accepted))
  }
})

t.test('no token, name or header of a link is in the log', async (t) => {
  const stage = await Stage.open(t)
  const upload = stage.uploadLink()
  const { location } = await begin(stage, upload.path, 10, { filename: 'secret-name.txt' })
  await patch(stage, location, 0, Buffer.alloc(10))
  const id = [...stage.contents.store.all()][0]?.id ?? ''
  const download = stage.downloadLink(id)
  await ask(stage.url(download.path))
  await ask(stage.url(`${download.path}x`))
  await begin(stage, upload.path, 10, { filename: '../secret-name' })
  stage.links.revoke(upload.id, stage.nowMs())
  await ask(stage.url(location), { method: 'HEAD', headers: TUS })
  const log = stage.logged.join('\n')
  t.match(log, 'upload finished')
  t.match(log, upload.id)
  for (const secret of [upload.token, download.token, location.slice(8), 'secret-name.txt']) t.notMatch(log, secret)
})

t.test('no other site may use it, and no frame', async (t) => {
  const stage = await Stage.open(t)
  const { path } = stage.uploadLink()
  const headers = { origin: 'https://evil.example', 'access-control-request-method': 'POST' }
  const { location } = await begin(stage, path, 10)
  for (const method of ['OPTIONS', 'POST', 'GET', 'HEAD']) {
    const answer = await ask(stage.url(path), { method, headers: { ...TUS, ...headers, 'upload-length': '1' } })
    t.strictSame(
      Object.keys(answer.headers).filter((name) => name.startsWith('access-control')),
      [],
      method,
    )
    t.match(answer.headers['content-security-policy'], /frame-ancestors 'none'/)
  }
  const forwarded = { ...TUS, 'upload-length': '1', 'x-forwarded-host': 'evil.example', forwarded: 'host=evil.example' }
  const answer = await ask(stage.url(path), { method: 'POST', headers: forwarded })
  t.match(answer.headers.location, /^\/upload\//, 'addresses are relative')
  t.match(location, /^\/upload\//)
})

t.test('large headers, slow headers, and bodies nobody may send', async (t) => {
  const stage = await Stage.open(t)
  const { path } = stage.uploadLink()
  t.match(await ask(stage.url(path), { headers: { x: 'a'.repeat(20_000) } }), { status: 431 })
  // Refused before its body is read, and the connection ends with it.
  const refused = await ask(stage.url('/upload/x'), { method: 'PATCH', headers: TUS, body: noise(100_000) }).catch(
    // The connection may end before its answer is read.
    () => null,
  )
  if (refused !== null) t.match(refused, { status: 403, headers: { connection: 'close' } })
  const continued = await ended(
    stage.port,
    `PATCH /upload/x HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n`,
  )
  t.match(continued, /^HTTP\/1\.1 403/, 'nobody is asked for a body before he is known')
  await ended(stage.port, 'GET /upload/x HTTP/1.1\r\nhost: a\r\n')
  t.pass('headers have their time')
})

t.test('a bad certificate keeps the port from opening', async (t) => {
  const stage = await Stage.open(t)
  writeFileSync(join(stage.dataDir, 'hub.yaml'), 'name: a\n')
  for (const certificate of ['missing.pem', 'hub.yaml']) {
    t.throws(() => stage.newHttp({ tls: true, certificate, key: certificate }), { code: 'HTTP_CERTIFICATE_INVALID' })
  }
})

/** What a connection says until it ends. */
function ended(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    let said = ''
    const socket: Socket = connect(port, '127.0.0.1', () => socket.write(text))
    socket.on('data', (bytes) => {
      said += bytes.toString()
    })
    socket.on('error', () => resolve(said))
    socket.on('close', () => resolve(said))
  })
}
