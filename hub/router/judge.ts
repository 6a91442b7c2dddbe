// Asks the content of messages, in threads.

import {
  type Configuration,
  configurationOf,
  type IsolatedPool,
  retire,
  unpackFault,
} from '#agent/components/isolation/mod.ts'
import type { PredicateSpec } from '#agent/components/predicates/mod.ts'
import type { Fault } from '#protocol/base/mod.ts'

/** A message, and the conditions to be decided: indices, each below 65,536. */
export type Question = { readonly body: Buffer; readonly contentType: string; readonly wanted: readonly number[] }

const MODULE = new URL('./judge-work.ts', import.meta.url).href
const TYPE_CHARS_MAX = 255

export class Judge {
  private readonly pool: IsolatedPool
  private readonly configuration: Configuration

  constructor(pool: IsolatedPool, predicates: readonly PredicateSpec[]) {
    this.pool = pool
    this.configuration = configurationOf(JSON.stringify(predicates))
  }

  /**
   * Verdicts in the order of `wanted`, for each question; one fault for a message that could not be looked at at all (it took too
   * long, or too much memory). Throws what keeps all of them from being asked.
   */
  async ask(questions: readonly Question[], signal: AbortSignal): Promise<(readonly (boolean | Fault)[] | Fault)[]> {
    // In memory of its own it is handed over.
    const owned = questions.length === 1
    const outcomes = await this.pool.run({
      module: MODULE,
      configuration: this.configuration,
      count: questions.length,
      inputOf: (i) => encode(questions[i] as Question, owned),
      owned,
      signal,
    })
    return outcomes.map((outcome, i) =>
      'fault' in outcome ? outcome.fault : decode(outcome, (questions[i] as Question).wanted.length),
    )
  }

  /** Nothing is asked any more. */
  close(): void {
    retire(this.configuration)
  }
}

function encode({ body, contentType, wanted }: Question, owned: boolean): Buffer {
  const type = contentType.slice(0, TYPE_CHARS_MAX)
  const typeAt = 2 + 2 * wanted.length
  const bytes = typeAt + 1 + type.length + body.length
  const out = owned ? Buffer.allocUnsafeSlow(bytes) : Buffer.allocUnsafe(bytes)
  out.writeUInt16LE(wanted.length, 0)
  for (let i = 0; i < wanted.length; i++) out.writeUInt16LE(wanted[i] as number, 2 + 2 * i)
  out[typeAt] = type.length
  out.write(type, typeAt + 1, 'latin1')
  body.copy(out, typeAt + 1 + type.length)
  return out
}

function decode(bytes: Buffer, count: number): readonly (boolean | Fault)[] {
  const faults = bytes.length === count ? [] : (JSON.parse(bytes.toString('utf8', count)) as string[])
  let next = 0
  return Array.from({ length: count }, (_, i) =>
    bytes[i] === 2 ? unpackFault(faults[next++] as string) : bytes[i] === 1,
  )
}
