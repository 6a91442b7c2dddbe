// Messages as files: what they hold, or the large contents they refer to (see destination/hub/files.ts, and `send file`).

import { type Client, contentsOf, type Download, type PriorityName } from '#agent/client/mod.ts'
import type { Fault } from '#protocol/base/mod.ts'
import {
  HEADER_CONTENT_TYPE,
  HEADER_FILE,
  HEADER_FILE_CHANGED_MS,
  HEADER_PRIORITY,
  type Headers,
  type MessageView,
} from '#protocol/codec/mod.ts'
import type { HubContent, Item, Reject, Row } from '../../contract.ts'
import { componentFault } from '../../faults.ts'
import { parseJsonBody } from '../../formats/mod.ts'

/** Where contents come from, and how long nothing of one may come. */
type Origin = { readonly client: Pick<Client, 'download'>; readonly stallMs: number }

/** One item for its body, or one for each content it refers to. */
export function fileItems(
  message: MessageView,
  { ref, ...from }: Origin & { ref: Item['ref'] },
): readonly Item[] | Reject {
  const { envelope, body } = message
  const { headers, topic } = envelope
  const ids = [...new Set(contentsOf(message))]
  const name = textOf(headers[HEADER_FILE])
  if (ids.length === 0) {
    if (name === null) {
      const why = 'it has no header `:file` and refers to no large content'
      const fault = componentFault('HUB_MESSAGE_NOT_A_FILE', { where: `topic ${topic}`, why })
      return { item: { row: { topic, body: body.toString('base64', 0, BODY_SHOWN_BYTES_MAX) }, ref }, fault }
    }
    const row = rowOf(headers, { name, size: body.length, mediaType: textOf(headers[HEADER_CONTENT_TYPE]), topic })
    return [{ row, ref, content: { kind: 'bytes', bytes: body } }]
  }
  const said = ids.length === 1 ? saidIn(body) : NOTHING_SAID
  const row = rowOf(headers, { ...said, name: name ?? said.name, topic })
  const priority = priorityOf(headers)
  return ids.map((id) => ({ row, ref, content: hubContent(from, { id, size: said.size ?? 0, priority }) }))
}

/** A body that is kept with a rejected message, beginning. */
const BODY_SHOWN_BYTES_MAX = 4096

type Said = { readonly name: string | null; readonly size: number | null; readonly mediaType: string | null }

const NOTHING_SAID: Said = { name: null, size: null, mediaType: null }

/** What the body says of the content, in the form of `send file`; nobody has to. */
function saidIn(body: Buffer): Said {
  const record = body.length > BODY_SHOWN_BYTES_MAX ? null : parseJsonBody(body)
  if (record?.ok !== true) return NOTHING_SAID
  const { name, size, mediaType } = record.row
  const isSize = Number.isSafeInteger(size) && (size as number) >= 0
  return { name: textOf(name), size: isSize ? (size as number) : null, mediaType: textOf(mediaType) }
}

function rowOf(headers: Headers, { name, size, mediaType, topic }: Said & { readonly topic: string }): Row {
  const changedMs = headers[HEADER_FILE_CHANGED_MS]
  const isTime = typeof changedMs === 'number' && changedMs >= 0 && changedMs <= TIME_MS_MAX
  return { name, size, modified: isTime ? new Date(changedMs).toISOString() : null, mediaType, topic }
}

/** What a `Date` can be. */
const TIME_MS_MAX = 8.64e15

const textOf = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null)

function priorityOf(headers: Headers): PriorityName {
  const priority = headers[HEADER_PRIORITY]
  return priority === 'urgent' || priority === 'bulk' ? priority : 'normal'
}

function hubContent(
  { client, stallMs }: Origin,
  { id, size, priority }: { id: string; size: number; priority: PriorityName },
): HubContent {
  return {
    kind: 'hub',
    id,
    size,
    download: async ({ path, reuse, signal, bytesMax }) => {
      let why: Fault | null = null
      const giveUp = (fault: Fault): void => {
        why = fault
        download.cancel()
      }
      const download = client.download({
        id,
        to: path,
        as: 'file',
        overwrite: 'replace',
        reuse,
        priority,
        signal,
        onProgress: ({ fault, size: known }) => {
          if (bytesMax !== undefined && known > bytesMax)
            giveUp(
              componentFault('DOCUMENT_TOO_LARGE', { where: `content ${id}`, why: `${known} bytes`, sizeBytes: known }),
            )
          // It would wait for room; the flow does, and says so.
          if (fault?.code === 'TARGET_FULL') giveUp(fault)
        },
      })
      const watch = watchStall(download, stallMs, () => giveUp(componentFault('FILE_LATE', { where: `content ${id}` })))
      try {
        return await download.done
      } catch (error) {
        throw why ?? error
      } finally {
        clearInterval(watch)
      }
    },
  }
}

/** Told when nothing has come for so long though it could. A sender that stays away must not keep others' files away for ever. */
function watchStall(download: Pick<Download, 'progress'>, stallMs: number, onStall: () => void): NodeJS.Timeout {
  let seen = -1
  let sinceMs = 0
  const look = (): void => {
    const { state, receivedBytes, storedBytes } = download.progress
    const nowMs = performance.now()
    const mayCome = state === 'receiving' || state === 'waiting'
    if (mayCome && receivedBytes + storedBytes === seen) {
      if (nowMs - sinceMs >= stallMs) onStall()
      return
    }
    seen = mayCome ? receivedBytes + storedBytes : -1
    sinceMs = nowMs
  }
  return setInterval(look, Math.min(1000, stallMs / 4))
}
