// The name of a message as people read and type it: ORIGIN/STREAM/EPOCH/SEQ. An origin has no slash, a stream may have
// some. Without the epoch it names the newest one; a stream whose last word is a number needs the epoch written out.

/** A message of a producer stream. */
export type MessageId = {
  readonly origin: string
  readonly stream: string
  readonly epoch: number
  readonly seq: number
}

/** As it is typed. */
export type TypedId = Omit<MessageId, 'epoch'> & { readonly epoch?: number }

const ID_LENGTH_MAX = 1024
const NUMBER = /^(?:0|[1-9]\d{0,15})$/

export function formatId({ origin, stream, epoch, seq }: MessageId): string {
  return `${origin}/${stream}/${epoch}/${seq}`
}

/** The id, or `null` when the text is none. */
export function parseId(text: string): TypedId | null {
  if (text.length > ID_LENGTH_MAX) return null
  const words = text.split('/')
  const seq = numberOf(words.pop())
  const origin = words.shift() ?? ''
  if (seq === null || origin === '') return null
  const epoch = words.length > 1 ? numberOf(words.at(-1)) : null
  if (epoch !== null) words.pop()
  const stream = words.join('/')
  if (stream === '') return null
  return epoch === null ? { origin, stream, seq } : { origin, stream, epoch, seq }
}

/** Why the text is no id, or `null`: the check of a setting. */
export function idProblem(text: string): string | null {
  return parseId(text) === null
    ? 'it is not of the form ORIGIN/STREAM/EPOCH/SEQ, such as office/permits-out/0/1042'
    : null
}

function numberOf(word: string | undefined): number | null {
  if (word === undefined || !NUMBER.test(word)) return null
  const value = Number(word)
  return Number.isSafeInteger(value) ? value : null
}
