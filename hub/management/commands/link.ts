// Links for people with a browser: an upload link makes each file that comes a message on its topic, a download link gives one
// content to whoever has it.

import { userInfo } from 'node:os'
import { join } from 'node:path'
import { type HubConfig, isWildcard, joinAddress } from '#hub/config/mod.ts'
import { type LinkRecord, type Links, openLinks, usedTimes } from '#hub/security/mod.ts'
import { systemClock } from '#protocol/base/mod.ts'
import { attributesOf, checkTopic, encodeHeaders, HEADER_CONTENT } from '#protocol/codec/mod.ts'
import { command, EXIT_OK, EXIT_USAGE, f, formatBytes } from '#protocol/fields/mod.ts'
import { managementFault } from '../faults.ts'
import { checkDataFolder, securityPath } from '../folder.ts'
import { age, count, grid, printable, time, WIDTH, wrapped } from '../show.ts'
import { configOf, data, json, misused } from './settings.ts'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
const EXPIRES_MS_MAX = 90 * DAY_MS
const USES_MAX = 1_000_000
const HEADERS_MAX = 32

const expires = (fallback: number) =>
  f.duration({ doc: 'how long the link is good', min: MINUTE_MS, max: EXPIRES_MS_MAX, default: fallback })

export const linkUpload = command({
  summary: 'make a link with which people send files in a browser: each becomes a message',
  spec: f.object({
    topic: f.text({ doc: 'topic of the messages', check: topicProblem, example: 'permits/scans' }),
    header: f.list(f.text({ doc: 'NAME=VALUE', check: headerProblem }), {
      doc: 'header of the messages; may be repeated',
      min: 0,
      max: HEADERS_MAX,
      default: [],
    }),
    expires: expires(DAY_MS),
    bytesMax: f.bytes({ doc: 'bytes of one file; as listen.http.bytesMax when left out', min: 1, optional: true }),
    once: f.boolean({ doc: 'good for one file', default: false }),
    uses: f.integer({ doc: 'files it is good for; any number when left out', min: 1, max: USES_MAX, optional: true }),
    data,
    json,
  }),
  run: async (settings) => {
    const { topic, expires, bytesMax = 0, once, uses = once ? 1 : 0 } = settings
    if (once && uses !== 1) return misused(managementFault('LINK_USES_UNCLEAR', { where: 'command line' }), settings)
    const headers = Object.fromEntries(settings.header.map(headerOf))
    return await make(settings, { kind: 'upload', topic, headers, bytesMax, uses, expiresAtMs: nowMs() + expires })
  },
})

export const linkDownload = command({
  summary: 'make a link with which people take a content in a browser',
  positionals: ['content'],
  spec: f.object({
    content: f.text({
      doc: 'its id: 32 hexadecimal digits, as in header :content of its message',
      pattern: /^[0-9a-f]{32}$/,
      example: '0f9d1b62c4a84b3f8d7e6a5b4c3d2e1f',
    }),
    expires: expires(7 * DAY_MS),
    data,
    json,
  }),
  run: async (settings) =>
    await make(settings, { kind: 'download', content: settings.content, expiresAtMs: nowMs() + settings.expires }),
})

export const linkRevoke = command({
  summary: 'end a link: it is refused from now on, and what goes on by it is broken off',
  positionals: ['link'],
  spec: f.object({ link: f.text({ doc: 'its id, as the command that made it printed' }), data, json }),
  run: async (settings) => {
    if ((await configOf(settings.data, settings.json)) === null) return EXIT_USAGE
    linksOf(settings.data).revoke(settings.link, nowMs())
    console.log(settings.json ? JSON.stringify({ link: settings.link, revoked: true }) : `${settings.link} is revoked`)
    return EXIT_OK
  },
})

type LinkShown = LinkRecord & {
  readonly state: 'good' | 'expired' | 'revoked'
  /** Files that may still come by an upload link; `null`: any number. */
  readonly usesLeft: number | null
}

export const linkList = command({
  summary: 'list the links that are good: who made each, for what, until when',
  spec: f.object({
    all: f.boolean({ doc: 'also those that have expired or were revoked', default: false }),
    data,
    json,
  }),
  run: async (settings) => {
    if ((await configOf(settings.data, settings.json)) === null) return EXIT_USAGE
    const links = linksOf(settings.data)
    const now = nowMs()
    const folder = join(settings.data, 'http')
    const all = links.made().map((link): LinkShown => {
      const state = links.isRevoked(link.id) ? 'revoked' : link.expiresAtMs < now ? 'expired' : 'good'
      const { id, uses } = link
      return { ...link, state, usesLeft: uses === 0 ? null : Math.max(0, uses - usedTimes(folder, id)) }
    })
    const shown = settings.all ? all : all.filter(({ state }) => state === 'good')
    console.log(settings.json ? JSON.stringify(shown) : listLines(shown, now).join('\n'))
    return EXIT_OK
  },
})

/** What `link list` prints. */
export function listLines(links: readonly LinkShown[], nowMs: number): string[] {
  if (links.length === 0) return ['No link is good: causeway-hub link upload, or link download']
  const heads = [
    { title: 'LINK' },
    { title: 'KIND' },
    { title: 'STATE' },
    { title: 'USES LEFT', right: true },
    { title: 'ENDS IN', right: true },
  ]
  const rows = links.map(({ id, kind, state, usesLeft, expiresAtMs }) => [
    id,
    kind,
    state,
    usesLeft === null ? '' : count(usesLeft),
    state === 'good' ? age(expiresAtMs - nowMs) : '',
  ])
  const [head = '', ...lines] = grid(heads, rows)
  return [head, ...links.flatMap((link, i) => [lines[i] ?? '', ...under(link)])]
}

/** What it is for, and whose. */
function under({ kind, topic, content, bytesMax, madeAtMs, madeBy }: LinkShown): string[] {
  const most = bytesMax === 0 ? '' : `, files of ${formatBytes(bytesMax)} at most`
  const what = kind === 'upload' ? `topic ${topic}${most}` : `content ${content}`
  const text = `${madeBy === '' ? '' : `${madeBy}, `}${time(madeAtMs)}: ${what}`
  return wrapped(printable(text), WIDTH - 4).map((line, i) => `${i === 0 ? '  ' : '    '}${line}`)
}

/** Who gives the command: behind sudo, who gave that. */
function operatorName(): string {
  try {
    return process.env.SUDO_USER ?? userInfo().username
  } catch {
    // A user without a name, as in containers.
    return ''
  }
}

const nowMs = (): number => systemClock.wallMs()

async function make(
  settings: { readonly data: string; readonly json: boolean },
  link: Parameters<ReturnType<typeof openLinks>['make']>[0],
): Promise<number> {
  const config = await configOf(settings.data, settings.json)
  if (config === null) return EXIT_USAGE
  if (!config.listen.http.enabled) throw managementFault('LINK_HTTP_OFF', { where: settings.data })
  const base = baseOf(config)
  if (base === null) throw managementFault('LINK_ADDRESS_UNKNOWN', { where: settings.data })
  const { token, id } = linksOf(settings.data).make(link, nowMs(), operatorName())
  const url = `${base}/${link.kind}/${token}`
  const { kind, expiresAtMs } = link
  if (settings.json) console.log(JSON.stringify({ link: id, kind, url, expiresAtMs }))
  else {
    console.log(url)
    console.error(`Good until ${new Date(expiresAtMs).toISOString()}, for whoever has it. To end it before:`)
    console.error(`  causeway-hub link revoke ${id} --data ${settings.data}`)
  }
  return EXIT_OK
}

function linksOf(dataDir: string): Links {
  checkDataFolder(dataDir)
  return openLinks(securityPath(dataDir))
}

/** Where people find the HTTP port: as settings say, or else at the first address agents are told. */
function baseOf({ listen, advertise }: HubConfig): string | null {
  const { host, port, tls, url } = listen.http
  if (url !== '') return url
  const named = advertise[0]?.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
  const found = isWildcard(host) ? named : host
  if (port === 0 || found === undefined) return null
  return `${tls ? 'https' : 'http'}://${joinAddress(found, port)}`
}

function headerOf(text: string): [string, string] {
  const at = text.indexOf('=')
  return [text.slice(0, at), text.slice(at + 1)]
}

function headerProblem(text: string): string | null {
  const [name, value] = headerOf(text)
  if (!text.includes('=') || name === '') return 'it is not of the form NAME=VALUE'
  if (name === HEADER_CONTENT) return 'the hub says itself which content it is'
  return problemOf(() => {
    encodeHeaders({ [name]: value })
    attributesOf({ [name]: value })
  })
}

function topicProblem(topic: string): string | null {
  return problemOf(() => checkTopic(topic))
}

function problemOf(check: () => void): string | null {
  try {
    check()
    return null
  } catch (error) {
    return (error as Error).message
  }
}
