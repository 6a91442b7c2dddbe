// What a pipeline made of several messages, and what of it nobody can be given: no message is large enough for it, its queue is gone, a
// later step refused it. It must hold up nobody, and nothing of it may be lost: it becomes a dead letter; or, where no message takes it,
// its members do, as the channel kept them that made it: each of them was a message, or was made of one. One that no
// message takes even so becomes a document, which has no limit.

import type { LargeDocuments } from '#agent/components/chain/types.ts'
import { formatJsonRecord } from '#agent/components/formats/mod.ts'
import type { Item } from '#agent/components/mod.ts'
import { type MadeMessage, messageOf, type Passed } from '#hub/transform/mod.ts'
import { asFault, type Fault } from '#protocol/base/mod.ts'
import { routerFault } from './faults.ts'

export type Refusal = { readonly item: Item; readonly fault: Fault; readonly step?: number; readonly type?: string }

/** A dead letter: the message, and why and where. */
export type DeadOne = Refusal & {
  readonly message: MadeMessage
  /** It is what the pipeline gave: it goes on as it is when it is sent back. */
  readonly isWhole: boolean
}

export type Graves = {
  readonly membersOf: Passed['membersOf']
  /** Throws what no batch takes. */
  readonly check: (message: MadeMessage) => void
  readonly topic: string
  readonly nowMs: number
  readonly documents: LargeDocuments | null
}

const JSON_TYPE = 'application/json'
/** Where the topic of a rule is none for what it makes. */
const TOPIC_OF_ANY = 'pipeline'
const MEDIA_TYPE_CHARS_MAX = 100

/** `isWhole`: nothing but its queue is missing. Throws what may pass. */
export async function deadLettersOf(refusal: Refusal, graves: Graves, isWhole = false): Promise<DeadOne[]> {
  const whole = fitting(refusal.item, graves)
  if (whole !== null) return [{ ...refusal, message: whole, isWhole }]
  const members = graves.membersOf(refusal.item)
  const fault = refusal.fault.code === 'BODY_TOO_LARGE' ? tooLarge(refusal.fault) : refusal.fault
  const { step = members?.step, type = members?.type } = refusal
  const at = step === undefined || type === undefined ? {} : { step, type }
  const out: DeadOne[] = []
  for (const item of members?.items ?? [refusal.item]) {
    const message = fitting(item, graves) ?? (await documentOf(item, graves))
    out.push({ item, fault, ...at, message, isWhole: false })
  }
  return out
}

const tooLarge = ({ message }: Fault): Fault => routerFault('ROUTE_GROUP_TOO_LARGE', { why: message })

/** The item as a message; `null` when it cannot be one. */
function fitting(item: Item, { check, topic, nowMs }: Graves): MadeMessage | null {
  for (const each of [topic, TOPIC_OF_ANY]) {
    try {
      const message = messageOf(item, { topic: each, original: null, nowMs })
      check(message)
      return message
    } catch (error) {
      if (asFault(error).code !== 'TOPIC_INVALID') return null
    }
  }
  return null
}

/** The item as a document with nothing beside it. */
async function documentOf({ row, content, ref }: Item, graves: Graves): Promise<MadeMessage> {
  const { mediaType } = row
  const kept = typeof mediaType === 'string' && mediaType.length <= MEDIA_TYPE_CHARS_MAX ? mediaType : null
  const plain: Item = { row: { mediaType: content === undefined ? JSON_TYPE : kept }, ref }
  const bytes = content === undefined ? Buffer.from(formatJsonRecord(row)) : null
  const { documents } = graves
  const isLarge = bytes !== null && documents !== null && bytes.length > documents.inlineBytesMax
  const lent =
    bytes === null ? content : isLarge ? await documents.put(bytes, plain) : { kind: 'bytes' as const, bytes }
  const item = lent === undefined ? plain : { ...plain, content: lent }
  const message = fitting(item, graves)
  if (message === null) throw routerFault('ROUTE_GROUP_TOO_LARGE', { why: 'it cannot be put away' })
  return message
}
