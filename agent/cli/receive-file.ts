// causeway-agent receive file: large content by hand, and from scripts.

import { resolve } from 'node:path'
import { type Client, contentsOf, type Delivery, type Downloaded, fileNameOf, saveBody } from '#agent/client/mod.ts'
import { makeFolder } from '#agent/components/support/mod.ts'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import { command, EXIT_FAILED, EXIT_OK, EXIT_USAGE, f, faultsText } from '#protocol/fields/mod.ts'
import { agentFault, tellCommand, transfersOf } from '../telemetry/mod.ts'
import { Bar, roughBytes } from './bar.ts'
import { connect, data, json } from './common.ts'
import { armed, receiveProblem, sourceOf, sources } from './messages.ts'
import { codeOf, compressed, holdOf, pace, rounded, tellWaits } from './standing.ts'

/** Messages without files that are held until the command ends; more would keep the ones with files away. */
const HELD_MAX = 16

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
    await makeFolder(folder)
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
    const stop = tellWaits(this.bar, () => [download.progress.fault])
    const done = await download.done.finally(stop)
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
