// causeway-agent send file: large content by hand, and from scripts. Several at a time; one that cannot be sent keeps no other.

import { join, posix, resolve } from 'node:path'
import { type Client, type CompressWish, isCompressWish, type Publisher, type Upload } from '#agent/client/mod.ts'
import { RATE_MAX, windowProblem } from '#agent/config/mod.ts'
import { asFault, type Fault, faultIn } from '#protocol/base/mod.ts'
import { ATTRIBUTE_MS_MAX, HEADER_FILE } from '#protocol/codec/mod.ts'
import { command, EXIT_FAILED, EXIT_OK, f, faultsText } from '#protocol/fields/mod.ts'
import { checkName } from '#protocol/transfer/mod.ts'
import { tellCommand, transfersOf } from '../telemetry/mod.ts'
import { Bar, roughBytes } from './bar.ts'
import { connect, data, json } from './common.ts'
import { watched, wishes } from './messages.ts'
import { type FoundFile, findFiles } from './paths.ts'
import { codeOf, compressed, holdOf, pace, rounded, tellWaits } from './standing.ts'

/** A command line of two megabytes, as systems allow, holds no more. */
const PATHS_MAX = 100_000
/** While one waits for the hub another is read. */
const LANES = 4

export const sendFile = command({
  summary: 'send files of any size, each with a message that refers to it',
  positionals: ['path'],
  spec: f.object({
    path: f.list(f.text({ doc: 'file', maxLength: 4096 }), {
      doc: 'files, or patterns such as plans/**/*.dwg; they should not be written meanwhile',
      min: 1,
      max: PATHS_MAX,
    }),
    recursive: f.boolean({ doc: 'of folders send all that is in them', default: false }),
    data,
    ...wishes,
    early: f.boolean({
      doc: 'send the message when the hub begins to take the file, not when it has it',
      default: false,
    }),
    rate: f.bytes({
      doc: 'bytes a second at most, of all together, below what agent.yaml allows; 0 for no limit',
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
    const { files, faults, leftOut } = await findFiles(settings.path, settings)
    for (const fault of faults) console.error(faultsText([fault], settings))
    if (leftOut > 0 && !settings.json) console.error(`Left out: ${leftOut} links and others that are no files.`)
    if (files.length === 0) return EXIT_FAILED
    const client = await connect(settings.data, { rate: settings.rate, windows: windowsOf(settings) })
    const telling = tellCommand(settings.data, { command: 'send file', transfers: () => transfersOf(client) })
    const sending = new Sending(client, settings, files)
    const interrupt = () => void client.close()
    process.once('SIGINT', interrupt).once('SIGTERM', interrupt)
    try {
      const sent = await sending.run()
      if (sending.isInterrupted) console.error('Interrupted. The same command goes on where it was.')
      else if (files.length + faults.length > 1 && !settings.json)
        console.log(sending.summary(files.length + faults.length))
      return sent === files.length && faults.length === 0 ? EXIT_OK : EXIT_FAILED
    } finally {
      process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
      telling.stop()
      await client.close()
    }
  },
})

/** A level is a number. */
const compressWish = (text: string): unknown => (/^\d+$/.test(text) ? Number(text) : text)

const windowsOf = ({ window }: { readonly window?: string | undefined }): string[] =>
  window === undefined ? [] : [window]

type Settings = {
  readonly data: string
  readonly topic: string
  readonly key?: string | undefined
  readonly header: Readonly<Record<string, string>>
  readonly priority: 'normal' | 'urgent' | 'bulk'
  readonly early: boolean
  readonly cut: 'auto' | 'fixed' | 'content'
  readonly compress: string
  readonly mediaType?: string | undefined
  readonly keep: number
  readonly expires: number
  readonly json: boolean
}

/** After these no other file goes either. */
const ENDS_ALL = /^(?:CLIENT_CLOSED|TRANSFERS_UNSUPPORTED)$/

class Sending {
  /** The hub is not there for anybody any more: somebody has stopped it. */
  isInterrupted = false
  private readonly client: Client
  private readonly settings: Settings
  private readonly files: readonly FoundFile[]
  private readonly bar = new Bar(process.stderr)
  private readonly startMs = performance.now()
  private readonly uploads = new Map<FoundFile, Upload>()
  private next = 0
  private ended = 0
  private sent = 0
  private sentBytes = 0
  /** Of those that are over, and of all but those that failed. */
  private doneBytes = 0
  private totalBytes: number
  private over = false

  constructor(client: Client, settings: Settings, files: readonly FoundFile[]) {
    this.client = client
    this.settings = settings
    this.files = files
    this.totalBytes = files.reduce((sum, { size }) => sum + size, 0)
  }

  /** Gives how many were sent; the others were told of. */
  async run(): Promise<number> {
    const stop = tellWaits(this.bar, () => [...this.uploads.values()].map(({ progress }) => progress.fault))
    await Promise.all(Array.from({ length: Math.min(LANES, this.files.length) }, (_, lane) => this.lane(lane)))
    stop()
    this.bar.clear()
    return this.sent
  }

  summary(of: number): string {
    const { sent, sentBytes } = this
    const all = `${sent} of ${of} files sent`
    return sent === 0 ? `${all}.` : `${all}, ${pace(sentBytes, this.seconds)}.`
  }

  private get seconds(): number {
    return (performance.now() - this.startMs) / 1000
  }

  private async lane(lane: number): Promise<void> {
    let publisher: Publisher | null = null
    for (let turn = 0; !this.over && this.next < this.files.length; turn++) {
      const file = this.files[this.next++] as FoundFile
      try {
        publisher ??= this.client.publisher({
          stream: `send-file-${process.pid}-${Date.now()}-${lane}-${turn}`,
          proof: 'message',
        })
        await this.send(file, publisher)
        this.sent++
      } catch (error) {
        // What was refused holds up what follows it in its stream.
        publisher = null
        this.failed(file, asFault(error, file.path))
      }
      this.ended++
    }
  }

  private async send(file: FoundFile, publisher: Publisher): Promise<void> {
    const { settings } = this
    const startMs = performance.now()
    for (const name of file.name.split('/')) checkName(name)
    const upload = this.begin(file)
    try {
      await (settings.early ? upload.opened : upload.sealed)
      const isRouted = await this.announce(file, upload, publisher)
      await upload.sealed
      this.doneBytes += upload.progress.size
      this.sentBytes += upload.progress.size
      this.totalBytes += upload.progress.size - file.size
      this.bar.clear()
      this.tell(file, upload, { isRouted, seconds: (performance.now() - startMs) / 1000 })
    } catch (error) {
      // Begun anew it is sent.
      if (asFault(error).code === 'TRANSFER_CANCELLED') this.client.transferSettled(upload.id)
      throw error
    } finally {
      this.uploads.delete(file)
    }
  }

  private begin(file: FoundFile): Upload {
    const { mediaType = '', keep: keepMs, priority, cut, compress, early, data } = this.settings
    let openedId: string | null = null
    const upload = this.client.upload({
      path: file.path,
      name: posix.basename(file.name),
      mediaType,
      keepMs,
      expiresMs: this.leftMs(),
      priority,
      journalDir: join(data, 'transfers'),
      cut,
      compress: compressWish(compress) as CompressWish,
      onProgress: () => this.draw(),
      onRestart: () => {
        // The message that was sent refers to what will never be whole.
        if (openedId !== null) void upload.cancel()
      },
    })
    // Why it is not opened, `done` tells.
    if (early) void upload.opened.then(() => (openedId = upload.id)).catch(() => undefined)
    this.uploads.set(file, upload)
    return upload
  }

  /** Publishes the message that refers to the content; gives whether a queue wanted it. */
  private async announce(file: FoundFile, upload: Upload, publisher: Publisher): Promise<boolean> {
    const { topic, key, header, priority, mediaType = '' } = this.settings
    const { size } = upload.progress
    const unrouted = publisher.unroutedMessages
    const headers = file.name.includes('/') ? { [HEADER_FILE]: file.name, ...header } : header
    await watched(publisher, async () => {
      await publisher.publish({
        topic,
        headers,
        priority,
        // Message and file go together.
        ttlMs: this.leftMs(),
        ...(key === undefined ? {} : { key: Buffer.from(key) }),
        body: Buffer.from(JSON.stringify({ name: posix.basename(file.name), size, mediaType })),
        contents: [upload.id],
      })
    })
    return publisher.unroutedMessages === unrouted
  }

  /** Of the time in which message and file are worth anything; 0: they do not expire. */
  private leftMs(): number {
    const { expires } = this.settings
    return expires === 0 ? 0 : Math.max(1, Math.ceil(this.startMs + expires - performance.now()))
  }

  private failed(file: FoundFile, fault: Fault): void {
    this.totalBytes -= file.size
    const code = String(fault.details.hubCode || fault.code)
    if (fault.code === 'CLIENT_CLOSED') this.isInterrupted = true
    // Of the others each would be told the same.
    const isLast = ENDS_ALL.test(fault.code) || code === 'RIGHT_MISSING'
    if (this.over) return
    this.over = isLast
    this.bar.clear()
    if (this.isInterrupted) return
    const isNamed = fault.where?.startsWith(resolve(file.path)) === true
    console.error(faultsText([isNamed ? fault : faultIn(file.path, fault)], this.settings))
  }

  private tell(file: FoundFile, upload: Upload, { isRouted, seconds }: { isRouted: boolean; seconds: number }): void {
    const { id } = upload
    const { name, path } = file
    const { size, sentBytes, wireBytes, storedBytes, reusedBytes, hashedAgainBytes } = upload.progress
    const { encodedFromBytes, encodedToBytes, compressionLevel } = upload.progress
    if (this.settings.json) {
      // What was put on the wire beyond what the hub lacked.
      const twiceBytes = Math.max(0, sentBytes - (size - reusedBytes))
      const unrouted = isRouted ? 0 : 1
      const counts = { sentBytes, wireBytes, storedBytes, reusedBytes, hashedAgainBytes, twiceBytes, unrouted }
      const encoding = { encodedFromBytes, encodedToBytes, compressionLevel }
      console.log(JSON.stringify({ id, name, path, size, seconds: rounded(seconds), ...counts, ...encoding }))
      return
    }
    const had = reusedBytes === 0 ? '' : `; the hub had ${roughBytes(reusedBytes)} of it`
    const lost = isRouted ? '' : '; no queue wanted the message'
    const saved = compressed(sentBytes, wireBytes)
    console.log(`${name}: ${pace(size, seconds)} sent and stored by the hub as ${id}${saved}${had}${lost}.`)
  }

  /** All of them together. */
  private draw(): void {
    const now = [...this.uploads.values()].map(({ progress }) => progress)
    const sum = (of: (one: Upload['progress']) => number) => now.reduce((all, one) => all + of(one), 0)
    const doneBytes = this.doneBytes + sum(({ storedBytes }) => storedBytes)
    const bytesPerSecond = sum((one) => one.bytesPerSecond)
    const size = Math.max(this.totalBytes, doneBytes)
    const holds = now.map(({ state, fault }) => holdOf(state, codeOf(fault)))
    const note = holds.every((hold) => hold !== null) ? (holds[0] ?? null) : null
    const secondsLeft = bytesPerSecond > 0 ? (size - doneBytes) / bytesPerSecond : null
    const label = this.files.length === 1 ? '' : `${this.ended}/${this.files.length} `
    this.bar.draw({ label, size, doneBytes, bytesPerSecond, secondsLeft, note })
  }
}
