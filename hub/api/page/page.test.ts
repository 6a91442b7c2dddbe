// The page's own script, as it is served, against the hub: with just as much of a browser as it uses.

import { type ClientRequest, request } from 'node:http'
import { createContext, runInContext } from 'node:vm'
import t, { type Test } from 'tap'
import { ask, breakingLine, MIB, noise, Stage, sha256 } from '../testing.ts'
import { ASSETS, uploadPage } from './page.ts'

type Handler = (event: unknown) => void

class Element {
  value: unknown = ''
  max = 1
  textContent = ''
  hidden = false
  disabled = false
  files: unknown[] = []
  private readonly handlers = new Map<string, Handler>()

  addEventListener(name: string, handler: Handler): void {
    this.handlers.set(name, handler)
  }

  fire(name: string): void {
    this.handlers.get(name)?.({})
  }
}

/** A page at `path`, on a line that may break; `memory` outlives it. */
class Page {
  readonly elements: Record<string, Element> = {}
  private readonly requests = new Set<ClientRequest>()

  constructor(port: number, path: string, memory: Map<string, string>) {
    for (const id of ['file', 'toggle', 'cancel', 'bar', 'state']) this.elements[id] = new Element()
    const origin = `http://127.0.0.1:${port}`
    const { requests } = this
    class XMLHttpRequest {
      status = 0
      responseText = ''
      upload: { onprogress?: Handler } = {}
      onload: Handler = () => undefined
      onerror: Handler = () => undefined
      onabort: Handler = () => undefined
      private headers: Record<string, string> = {}
      private answered: NodeJS.Dict<string | string[]> = {}
      private target = ''
      private method = ''
      private sent: ClientRequest | null = null
      private aborted = false

      open(method: string, url: string): void {
        this.method = method
        this.target = url
      }

      setRequestHeader(name: string, value: string): void {
        this.headers[name] = value
      }

      getResponseHeader(name: string): string | null {
        return (this.answered[name.toLowerCase()] as string | undefined) ?? null
      }

      send(body: Buffer | null): void {
        const { method, headers } = this
        const sent = request(`${origin}${this.target}`, { method, headers, agent: false }, (response) => {
          response.on('data', (part: Buffer) => {
            this.responseText += part.toString()
          })
          response.on('end', () => {
            this.status = response.statusCode ?? 0
            this.answered = response.headers
            this.onload({})
          })
        })
        this.sent = sent
        requests.add(sent)
        sent.on('close', () => requests.delete(sent))
        sent.on('error', () => (this.aborted ? this.onabort({}) : this.onerror({})))
        sent.end(body ?? undefined)
        this.upload.onprogress?.({ loaded: 0 })
      }

      abort(): void {
        this.aborted = true
        this.sent?.destroy(new Error('aborted'))
      }
    }
    const dataset: Record<string, string> = {}
    for (const [, name = '', text = ''] of uploadPage('en').matchAll(/data-(\w+)="([^"]*)"/g)) dataset[name] = text
    const context = createContext({
      document: { getElementById: (id: string) => this.elements[id], body: { dataset } },
      location: { pathname: path, href: `${origin}${path}` },
      localStorage: {
        getItem: (key: string) => memory.get(key) ?? null,
        setItem: (key: string, value: string) => memory.set(key, value),
        removeItem: (key: string) => memory.delete(key),
      },
      addEventListener: () => undefined,
      XMLHttpRequest,
      TextEncoder,
      URL,
      btoa,
      setTimeout,
      clearTimeout,
    })
    runInContext(ASSETS.get('/assets/upload.js')?.body ?? '', context)
  }

  element(id: string): Element {
    return this.elements[id] as Element
  }

  get said(): string {
    return this.element('state').textContent
  }

  choose(name: string, bytes: Buffer): void {
    const file = {
      name,
      size: bytes.length,
      type: 'image/tiff',
      lastModified: 1,
      slice: (from: number) => bytes.subarray(from),
    }
    this.element('file').files = [file]
    this.element('file').fire('change')
  }

  press(id: 'toggle' | 'cancel'): void {
    this.element(id).fire('click')
  }

  close(): void {
    for (const sent of this.requests) sent.destroy()
  }
}

async function until(t: Test, page: Page, what: string | RegExp): Promise<void> {
  for (let i = 0; i < 3600 && !page.said.match(what); i++) await new Promise((resolve) => setTimeout(resolve, 25))
  t.match(page.said, what)
}

t.test('a file goes up on a line that breaks', async (t) => {
  const stage = await Stage.open(t)
  const bytes = noise(3 * MIB)
  const line = await breakingLine(t, () => stage.port, [MIB])
  const page = new Page(line, stage.uploadLink().path, new Map())
  page.choose('扫描.tif', bytes)
  t.equal(page.element('toggle').textContent, 'Upload')
  page.press('toggle')
  t.equal(page.element('toggle').textContent, 'Pause')
  await until(t, page, 'Done')
  const [message] = stage.published()
  t.strictSame(JSON.parse(message?.body ?? ''), { name: '扫描.tif', size: bytes.length, mediaType: 'image/tiff' })
  const got = await ask(stage.url(stage.downloadLink(String(message?.headers[':content'])).path))
  t.equal(sha256(got.body), sha256(bytes))
})

t.test('paused, closed, opened again with the same file, gone on with', async (t) => {
  const stage = await Stage.open(t)
  const bytes = noise(20 * MIB)
  const memory = new Map<string, string>()
  const { path } = stage.uploadLink()
  // A line that takes its time: it breaks, and the page waits a second before it tries again.
  const line = await breakingLine(t, () => stage.port, [8 * MIB])
  const page = new Page(line, path, memory)
  page.choose('a.tif', bytes)
  page.press('toggle')
  await until(t, page, 'Interrupted')
  page.press('toggle')
  await until(t, page, 'Paused')
  page.close()
  t.equal(memory.size, 1)
  const again = new Page(stage.port, path, memory)
  again.choose('a.tif', bytes)
  await until(t, again, 'there already')
  t.equal(again.element('toggle').textContent, 'Go on')
  again.press('toggle')
  await until(t, again, 'Done')
  t.equal(stage.published().length, 1)
  t.equal([...stage.contents.store.all()].length, 1, 'it was one upload')
  t.equal(memory.size, 0)
})

t.test('what is refused is said, and cancelling cleans up', async (t) => {
  const stage = await Stage.open(t)
  const link = stage.uploadLink({ bytesMax: 1000 })
  const page = new Page(stage.port, link.path, new Map())
  page.choose('a.tif', noise(2000))
  page.press('toggle')
  await until(t, page, /does not take the file. \(/)
  page.choose('../a.tif', noise(20))
  page.press('toggle')
  await until(t, page, /CONTENT_NAME_INVALID/)
  const line = await breakingLine(t, () => stage.port, [300_000, 600_000])
  const other = new Page(line, stage.uploadLink().path, new Map())
  other.choose('b.tif', noise(MIB))
  other.press('toggle')
  await until(t, other, 'Interrupted')
  other.press('cancel')
  t.match(other.said, 'Cancelled')
  for (let i = 0; i < 2400 && [...stage.contents.store.all()].length > 0; i++)
    await new Promise((resolve) => setTimeout(resolve, 25))
  t.equal([...stage.contents.store.all()].length, 0)
  stage.links.revoke(link.id, stage.nowMs())
  page.choose('c.tif', noise(20))
  page.press('toggle')
  await until(t, page, /LINK_REVOKED/)
})
