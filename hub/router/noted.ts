// The notes of messages that wait for a decision of the rules: what is decided of them already. They are on the disk, with the entries of
// the router's queue, and with the dead letters that go back there:
//
//   VERSION[+]   it came in under this version of the rules, which decides what topic and headers alone did not; `+`: it has a place
//   2 {…}        a dead letter, or what had no queue, sent back: the rules in force when it is taken decide what is left of it. JSON:
//     placed     true: it has a place
//     only       names of the rules that failed, which alone decide; left out, or one is not there any more: all but those of `done` do
//     behind     one of these, which ended the looking: the rules behind it decide, too
//     done       names of the rules whose pipelines it went through
//     had        ids of the queues that have it as it is
//     made       true: a pipeline of `only` made it; it goes to the queues of these rules as it is
//
// Anything else, and no note: nothing is known, and all rules decide all of it. So does a hub of a version that does not know the form.
// What does not fit into NOTE_BYTES_MAX is left out, from the top: then more is decided than failed, and nothing is lost.

import { NOTE_BYTES_MAX } from './limits.ts'

/** What is left to be decided of a message. */
export type Remainder = {
  readonly only: readonly string[] | null
  readonly behind: string | null
  readonly done: readonly string[]
  readonly had: readonly number[]
  readonly made: boolean
}

export type Noted = {
  /** `null`: the rules in force decide. */
  readonly version: number | null
  /** It has a place already. */
  readonly placed: boolean
  /** `null`: all of it. */
  readonly left: Remainder | null
}

/** The note of a message that comes in. */
export const noteOf = ({ version, placed }: { readonly version: number; readonly placed: boolean }): string =>
  `${version}${placed ? '+' : ''}`

/** The note of one that is to be sent back. */
export function backNoteOf({ placed, left }: { readonly placed: boolean; readonly left: Remainder }): string {
  const { only, behind, done, had, made } = left
  const parts = {
    ...(placed ? { placed } : {}),
    ...(made ? { made } : {}),
    ...(had.length === 0 ? {} : { had }),
    ...(done.length === 0 ? {} : { done }),
    ...(behind === null ? {} : { behind }),
    ...(only === null ? {} : { only }),
  }
  const dropped: readonly (readonly (keyof typeof parts)[])[] = [[], ['only', 'behind'], ['done'], ['had']]
  let kept: Partial<typeof parts> = parts
  for (const names of dropped) {
    // The rules of what was made say where it goes: it has no other.
    if (made && names.length > 0) break
    kept = Object.fromEntries(Object.entries(kept).filter(([name]) => !names.includes(name as keyof typeof parts)))
    const note = `2 ${JSON.stringify(kept)}`
    if (Buffer.byteLength(note) <= NOTE_BYTES_MAX) return note
  }
  return placed ? '2 {"placed":true}' : '2 {}'
}

/** `null`: nothing is known. */
export function notedIn(note: string): Noted | null {
  if (note.startsWith('2 ')) return sentBackIn(note.slice(2))
  const [, version, plus] = /^(\d{1,15})(\+?)$/.exec(note) ?? []
  return version === undefined ? null : { version: Number(version), placed: plus === '+', left: null }
}

function sentBackIn(text: string): Noted | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  if (typeof value !== 'object' || value === null) return null
  const {
    placed = false,
    made = false,
    had = [],
    done = [],
    behind = null,
    only = null,
  } = value as Record<string, unknown>
  if (typeof placed !== 'boolean' || typeof made !== 'boolean') return null
  if (!areNumbers(had) || !areTexts(done)) return null
  if (only !== null && !areTexts(only)) return null
  if (behind !== null && typeof behind !== 'string') return null
  return { version: null, placed, left: { only, behind, done, had, made } }
}

const areNumbers = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.every((each) => typeof each === 'number')
const areTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((each) => typeof each === 'string')
