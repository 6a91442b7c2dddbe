// Messages as files: what they hold, or the large contents they refer to (see destination/hub/files.ts, and `send file`).

import { type Client, contentsOf, type PriorityName } from '#agent/client/mod.ts'
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
import { parseJsonRecord } from '../../formats/mod.ts'

/** One item for its body, or one for each content it refers to. */
export function fileItems(
  message: MessageView,
  { ref, client }: { ref: Item['ref']; client: Pick<Client, 'download'> },
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
  return ids.map((id) => ({ row, ref, content: hubContent(client, { id, size: said.size ?? 0, priority }) }))
}

/** A body that is kept with a rejected message, beginning. */
const BODY_SHOWN_BYTES_MAX = 4096

type Said = { readonly name: string | null; readonly size: number | null; readonly mediaType: string | null }

const NOTHING_SAID: Said = { name: null, size: null, mediaType: null }

/** What the body says of the content, in the form of `send file`; nobody has to. */
function saidIn(body: Buffer): Said {
  const record = body.length > BODY_SHOWN_BYTES_MAX ? null : parseJsonRecord(body.toString('utf8'))
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
  client: Pick<Client, 'download'>,
  { id, size, priority }: { id: string; size: number; priority: PriorityName },
): HubContent {
  return {
    kind: 'hub',
    id,
    size,
    download: async ({ path, reuse, signal }) => {
      let full: Fault | null = null
      const download = client.download({
        id,
        to: path,
        as: 'file',
        overwrite: 'replace',
        reuse,
        priority,
        signal,
        onProgress: ({ fault }) => {
          if (fault?.code !== 'TARGET_FULL') return
          // It would wait for room; the flow does, and says so.
          full = fault
          download.cancel()
        },
      })
      try {
        return await download.done
      } catch (error) {
        throw full ?? error
      }
    },
  }
}
