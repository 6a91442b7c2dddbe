// Settings of the `hub` destination.

import { asFault } from '#protocol/base/mod.ts'
import { ATTRIBUTE_MS_MAX, checkTopic } from '#protocol/codec/mod.ts'
import { f, type Infer } from '#protocol/fields/mod.ts'
import { BODY_BYTES_MAX } from '#protocol/frame/mod.ts'

const field = f.text({ doc: 'a field of the rows', maxLength: 128 })

export const hubDestinationSettings = f.object({
  topic: f.text({
    doc: 'Topic of the messages; `{field}` stands for that field of the row',
    maxLength: 255,
    example: 'division/{level}',
    check: topicProblem,
  }),
  key: f.text({
    doc: 'Field whose value identifies the record; becomes the message key',
    maxLength: 128,
    optional: true,
  }),
  headers: f.record(field, {
    doc: 'Header name → field whose value it takes; receivers may subscribe by headers',
    max: 32,
    default: {},
  }),
  priority: f.choice(['normal', 'urgent', 'bulk'] as const, {
    doc: 'Urgent messages overtake others, bulk ones let others pass; a header `:priority` of `headers` goes before it',
    default: 'normal',
  }),
  ttlMs: f.duration({
    doc: 'Time after which a message is worth nothing; the hub sets it aside. 0 is for ever',
    max: ATTRIBUTE_MS_MAX,
    default: 0,
  }),
  delayMs: f.duration({
    doc: 'Time the hub waits before it delivers a message',
    max: ATTRIBUTE_MS_MAX,
    default: 0,
  }),
  compression: f.choice(['zstd', 'none'] as const, { doc: 'Compression of each batch', default: 'zstd' }),
  proof: f.choice(['message', 'batch'] as const, {
    doc: 'What the signature proves: each message by itself, or only the batch as a whole (faster)',
    default: 'message',
  }),
  inlineBytes: f.bytes({
    doc: 'Files up to this size travel in their messages; larger ones as large content, to which the message refers',
    max: BODY_BYTES_MAX,
    default: 64 * 1024,
  }),
  batchBytes: f.bytes({ doc: 'Size at which a batch is sealed', min: 1024, max: 1024 * 1024, default: 256 * 1024 }),
})

export type HubDestinationSettings = Infer<typeof hubDestinationSettings>

/** A topic that no row could make one that the hub takes. */
function topicProblem(template: string): string | null {
  try {
    checkTopic(template.replace(/\{[^{}]+\}/g, 'x'))
    return null
  } catch (error) {
    return asFault(error).message
  }
}
