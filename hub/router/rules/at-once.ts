// Where messages go as soon as topic and headers are known. Few different answers are given to many messages: each is one object, so
// that what follows from it is remembered by it.

import { REMEMBERED_ANSWERS_MAX } from './limits.ts'

export type AtOnce = {
  /** Each once. */
  readonly queues: readonly string[]
  /** Its content, or a pipeline, is needed for more. */
  readonly deferred: boolean
  /** A rule may fit. */
  readonly matched: boolean
  /** The same object is given for all messages that are answered so. */
  readonly lasting: boolean
}

export const NO_RULE_FITS: AtOnce = { queues: [], deferred: false, matched: false, lasting: true }

export class Answers {
  private readonly known = new Map<string, AtOnce>()

  /** Of messages that a rule may fit. */
  of(queues: readonly string[], deferred: boolean): AtOnce {
    const key = `${deferred}\0${queues.join('\0')}`
    const known = this.known.get(key)
    if (known !== undefined) return known
    const lasting = this.known.size < REMEMBERED_ANSWERS_MAX
    const answer = { queues, deferred, matched: true, lasting }
    if (lasting) this.known.set(key, answer)
    return answer
  }
}
