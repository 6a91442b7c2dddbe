// causeway-agent send file and receive file: large content by hand, and from scripts.

import { mkdirSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import {
  type Client,
  type CompressWish,
  contentsOf,
  type Delivery,
  type Downloaded,
  fileNameOf,
  isCompressWish,
  saveBody,
  type Upload,
} from '#agent/client/mod.ts'
import { RATE_MAX, rateOf, windowProblem } from '#agent/config/mod.ts'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import { ATTRIBUTE_MS_MAX } from '#protocol/codec/mod.ts'
import { command, EXIT_FAILED, EXIT_OK, EXIT_USAGE, f, faultsText } from '#protocol/fields/mod.ts'
import { agentFault, tellCommand, transfersOf } from '../telemetry/mod.ts'
import { Bar, roughBytes, roughTime } from './bar.ts'
import { connect, data, json } from './common.ts'
import { armed, receiveProblem, sourceOf, sources, watched, wishes } from './messages.ts'
import { codeOf, holdOf } from './standing.ts'

/** Messages without files that are held until the command ends; more would keep the ones with files away. */
const HELD_MAX = 16

export const sendFile = command({
  summary: 'send a file of any size, and a message that refers to it',
  positionals: ['path'],
  spec: f.object({
    path: f.text({ doc: 'the file; it should not be written meanwhile', maxLength: 4096 }),
    data,
    ...wishes,
    early: f.boolean({
      doc: 'send the message when the hub begins to take the file, not when it has it',
      default: false,
    }),
    rate: f.bytes({
      doc: 'bytes a second at most, below what agent.yaml allows; 0 for no limit',
      max: RATE_MAX,
      default: 0,
    }),
    window: f.text({
      doc: 'send only at this time of the day here, and within the windows of agent.yaml',
      example: '22:00-06:00',
      check: windowProblem,
      optional: true,
    }),
    cut: f.choice(['auto', 'fixed', 'content'] as const, {
      doc: 'where chunks end. content: where the file says so, so that of a later version only what is new is sent, also behind an insertion; fixed: all alike, for less work; auto: as an earlier version of the name was cut, else what suits size and kind',
      default: 'auto',
    }),
    compress: f.text({
      doc: 'auto: what of it compresses travels compressed as far as that is faster on this line; on: wherever it compresses; off: all of it travels as it is; 1 to 19: at that level of zstd',
      check: (text) =>
        isCompressWish(compressWish(text)) ? null : 'it must be auto, on, off, or a level from 1 to 19',
      default: 'auto',
    }),
    mediaType: f.text({
      doc: 'what it is, for those who receive it',
      example: 'application/pdf',
      maxLength: 127,
      optional: true,
    }),
    keep: f.duration({
      doc: 'the hub keeps it so long when no message refers to it; 0 for its own time',
      max: ATTRIBUTE_MS_MAX,
      default: 0,
    }),
    expires: f.duration({
      doc: 'so long from now message and file are worth anything; then both go from the hub. 0: they do not expire',
      max: ATTRIBUTE_MS_MAX,
      default: 0,
    }),
    json,
  }),
  run: async (settings) => {
    const client = await connect(settings.data)
    const telling = tellCommand(settings.data, { command: 'send file', transfers: () => transfersOf(client) })
    const bar = new Bar(process.stderr)
    const interrupt = () => void client.close()
    process.once('SIGINT', interrupt).once('SIGTERM', interrupt)
    const startMs = performance.now()
    let upload: Upload | null = null
    try {
      const { early, cut, compress, mediaType = '', keep: keepMs, expires: expiresMs, priority } = settings
      let published: string | null = null
      upload = client.upload({
        path: settings.path,
        mediaType,
        keepMs,
        expiresMs,
        priority,
        journalDir: join(settings.data, 'transfers'),
        cut,
        compress: compressWish(compress) as CompressWish,
        bytesPerSecondMax: rateOf({
          rate: settings.rate,
          windows: settings.window === undefined ? [] : [settings.window],
        }),
        onProgress: (now) =>
          bar.draw({ ...now, doneBytes: now.storedBytes, note: holdOf(now.state, codeOf(now.fault)) }),
        onRestart: () => {
          // The message that was sent refers to what will never be whole.
          if (published !== null) void upload?.cancel()
        },
      })
      await (early ? upload.opened : upload.sealed)
      published = upload.id
      // Message and file go together.
      const ttlMs = expiresMs === 0 ? 0 : Math.max(1, Math.ceil(startMs + expiresMs - performance.now()))
      const unrouted = await announce(client, upload, { ...settings, ttlMs })
      await upload.sealed
      bar.clear()
      tellSent(upload, { settings, unrouted, seconds: (performance.now() - startMs) / 1000 })
      return EXIT_OK
    } catch (error) {
      bar.clear()
      const fault = asFault(error)
      // The next time it is sent.
      if (fault.code === 'TRANSFER_CANCELLED' && upload !== null) client.transferSettled(upload.id)
      if (fault.code !== 'CLIENT_CLOSED') throw fault
      console.error('Interrupted. The same command goes on where it was.')
      return EXIT_FAILED
    } finally {
      process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
      telling.stop()
      await client.close()
    }
  },
})

/** A level is a number. */
const compressWish = (text: string): unknown => (/^\d+$/.test(text) ? Number(text) : text)

type SendFileSettings = {
  readonly path: string
  readonly topic: string
  readonly key?: string | undefined
  readonly header: Readonly<Record<string, string>>
  readonly priority: 'normal' | 'urgent' | 'bulk'
  readonly mediaType?: string | undefined
  readonly json: boolean
}

type Announcement = SendFileSettings & { readonly ttlMs: number }

/** Publishes the message that refers to the content; gives how many messages no queue wanted: one or none. */
async function announce(client: Client, upload: Upload, settings: Announcement): Promise<number> {
  const { path, topic, key, header: headers, priority, ttlMs, mediaType = '' } = settings
  const { size } = upload.progress
  const publisher = client.publisher({ stream: `send-file-${process.pid}-${Date.now()}`, proof: 'message' })
  await watched(publisher, async () => {
    await publisher.publish({
      topic,
      headers,
      priority,
      ttlMs,
      ...(key === undefined ? {} : { key: Buffer.from(key) }),
      body: Buffer.from(JSON.stringify({ name: basename(path), size, mediaType })),
      contents: [upload.id],
    })
  })
  return publisher.unroutedMessages
}

function tellSent(
  upload: Upload,
  { settings, unrouted, seconds }: { settings: SendFileSettings; unrouted: number; seconds: number },
): void {
  const { id } = upload
  const name = basename(settings.path)
  const { size, sentBytes, wireBytes, storedBytes, reusedBytes, hashedAgainBytes } = upload.progress
  const { encodedFromBytes, encodedToBytes, compressionLevel } = upload.progress
  // What was put on the wire beyond what the hub lacked.
  const twiceBytes = Math.max(0, sentBytes - (size - reusedBytes))
  if (settings.json) {
    const counts = { sentBytes, wireBytes, storedBytes, reusedBytes, hashedAgainBytes, twiceBytes, unrouted }
    const encoding = { encodedFromBytes, encodedToBytes, compressionLevel }
    console.log(JSON.stringify({ id, name, size, seconds: rounded(seconds), ...counts, ...encoding }))
    return
  }
  const had = reusedBytes === 0 ? '' : `; the hub had ${roughBytes(reusedBytes)} of it`
  const lost = unrouted === 0 ? '' : '; no queue wanted the message'
  const saved = compressed(sentBytes, wireBytes)
  console.log(`${name}: ${pace(size, seconds)} sent and stored by the hub as ${id}${saved}${had}${lost}.`)
}

export const receiveFile = command({
  summary: 'receive messages that refer to files, and put the files into a folder',
  spec: f.object({
    data,
    ...sources,
    to: f.text({ doc: 'folder for the files; made if it is not there', maxLength: 4096 }),
    count: f.integer({
      doc: 'stop after so many messages with files; 0 goes on until Ctrl-C',
      min: 0,
      max: 2 ** 31,
      default: 0,
    }),
    timeout: f.duration({
      doc: 'stop when no message came for so long; 0 waits for ever',
      max: 86_400_000,
      default: 0,
    }),
    json,
  }),
  run: async (settings) => {
    const source = { ...settings, where: {}, retain: 0, replay: 0 }
    const wrong = receiveProblem(source)
    if (wrong !== null) {
      console.error(faultsText([wrong], settings))
      return EXIT_USAGE
    }
    const folder = resolve(settings.to)
    mkdirSync(folder, { recursive: true })
    const client = await connect(settings.data)
    const telling = tellCommand(settings.data, { command: 'receive file', transfers: () => transfersOf(client) })
    try {
      // Others at the same queue get the rest: a file may take long.
      const subscription = await client.subscribe({ ...sourceOf(client, source), creditMessages: HELD_MAX })
      const stopping = new AbortController()
      const stop = () => {
        stopping.abort()
        subscription.close()
      }
      process.once('SIGINT', stop).once('SIGTERM', stop)
      const receiver = new Receiver(client, { folder, json: settings.json, signal: stopping.signal })
      let timer = armed(settings.timeout, stop)
      for await (const delivery of subscription) {
        if (timer !== null) clearTimeout(timer)
        for (let i = 0; i < delivery.count && !stopping.signal.aborted; i++) {
          if (settings.count > 0 && receiver.received >= settings.count) break
          await receiver.take(delivery, i)
        }
        if (settings.count > 0 && receiver.received >= settings.count) break
        timer = armed(settings.timeout, stop)
      }
      subscription.close()
      const few = settings.count > 0 && receiver.received < settings.count
      return few || receiver.rejected > 0 ? EXIT_FAILED : EXIT_OK
    } finally {
      telling.stop()
      await client.close()
    }
  },
})

/** What is wrong here, not with the content: the message is not at fault, and stays in its queue. */
const OUR_FAULTS = /^(?:TARGET_|DOWNLOAD_|CLIENT_CLOSED$|TRANSFERS_UNSUPPORTED$|INTERNAL$|SYSTEM_REFUSED$)/

class Receiver {
  /** Messages the files of which are here. */
  received = 0
  /** Messages that were rejected, because their files cannot be had. */
  rejected = 0
  private readonly client: Client
  private readonly options: { readonly folder: string; readonly json: boolean; readonly signal: AbortSignal }
  private readonly bar = new Bar(process.stderr)
  /** Messages without files: they are held, and go back as they were when the command ends. */
  private held = 0

  constructor(client: Client, options: Receiver['options']) {
    this.client = client
    this.options = options
  }

  /** Fetches what a message refers to, then settles it. Faults: `MESSAGES_IN_THE_WAY`, those of our disk. */
  async take(delivery: Delivery, i: number): Promise<void> {
    try {
      const ids = contentsOf(delivery.message(i))
      if (ids.length === 0 && !(await this.save(delivery, i))) {
        this.hold(delivery, i)
        return
      }
      for (const id of new Set(ids)) await this.fetch(delivery, i, id)
      // The connection was cut meanwhile: the message comes again, and the files are not fetched twice.
      if (!delivery.isCurrent) return
      delivery.settle(i, 1)
      this.received++
    } catch (error) {
      this.bar.clear()
      this.failed(delivery, i, asFault(error))
    }
  }

  private async fetch(delivery: Delivery, i: number, id: string): Promise<void> {
    const startMs = performance.now()
    const { folder: to, signal } = this.options
    const download = this.client.download({
      id,
      to,
      signal,
      priority: delivery.priority,
      onProgress: (now) =>
        this.bar.draw({ ...now, doneBytes: now.storedBytes, note: holdOf(now.state, codeOf(now.fault)) }),
    })
    const done = await download.done
    this.bar.clear()
    const { receivedBytes, wireBytes, reusedBytes, hashedAgainBytes } = download.progress
    const seconds = (performance.now() - startMs) / 1000
    const { topic } = delivery.message(i).envelope
    if (this.options.json) {
      const counts = { receivedBytes, wireBytes, reusedBytes, hashedAgainBytes }
      console.log(JSON.stringify({ id, ...done, topic, seconds: rounded(seconds), ...counts }))
    } else console.log(receivedLine(done, { seconds, receivedBytes, wireBytes }))
  }

  /** A small file is its message. Gives whether it is one. */
  private async save(delivery: Delivery, i: number): Promise<boolean> {
    const message = delivery.message(i)
    const path = await saveBody(message, this.options.folder)
    if (path === null) return false
    const { origin } = delivery
    const [name, size] = [fileNameOf(message), message.body.length]
    if (this.options.json) console.log(JSON.stringify({ name, path, origin, size, topic: message.envelope.topic }))
    else console.log(`${name}: ${roughBytes(size)} from ${origin}, saved as ${path}.`)
    return true
  }

  private hold(delivery: Delivery, i: number): void {
    const where = `${delivery.queue}, position ${delivery.position + i}`
    if (this.held === 0) console.error(`A message without a file (${where}) is left in its queue, as any others are.`)
    if (++this.held >= HELD_MAX) throw agentFault('MESSAGES_IN_THE_WAY', { where: delivery.queue })
  }

  private failed(delivery: Delivery, i: number, fault: Fault): void {
    const isOurs = OUR_FAULTS.test(fault.code) || fault.code === 'MESSAGES_IN_THE_WAY'
    if (fault.code === 'TRANSFER_CANCELLED' && this.options.signal.aborted) {
      console.error('Interrupted. The message stays in its queue; the same command goes on where it was.')
      return
    }
    if (isOurs || !delivery.isCurrent) throw fault
    delivery.reject(`${fault.code}: ${fault.message}`, i, 1)
    this.rejected++
    // An operator may send the message again.
    if (fault.code === 'TRANSFER_CANCELLED' && fault.where !== null) this.client.transferSettled(fault.where)
    console.error(`Rejected, set aside by the hub: ${faultsText([fault], { json: false })}`)
  }
}

function receivedLine(
  { name, path, origin, size }: Downloaded,
  { seconds, receivedBytes, wireBytes }: { seconds: number; receivedBytes: number; wireBytes: number },
): string {
  const had = receivedBytes < size ? `; ${roughBytes(size - receivedBytes)} of it were here` : ''
  const saved = compressed(receivedBytes, wireBytes)
  return `${name === '' ? 'A file' : name}: ${pace(size, seconds)} from ${origin}, saved as ${path}${saved}${had}.`
}

/** What travelled of so much content, where that is worth saying. */
const compressed = (contentBytes: number, wireBytes: number): string =>
  wireBytes < contentBytes ? `; compressed to ${roughBytes(wireBytes)}` : ''

const pace = (size: number, seconds: number): string =>
  `${roughBytes(size)} in ${roughTime(seconds)} (${roughBytes(size / Math.max(seconds, 0.001))}/s)`

const rounded = (seconds: number): number => Math.round(seconds * 1000) / 1000
