// What the fuzzer drives: something that makes inputs and something that takes them.

import type { Random } from '#protocol/bytes/testing.ts'

export type Reach = (layer: string) => void

export type Target = {
  readonly name: string
  /** Its part of all inputs. */
  readonly share: number
  /** Layers and the share of its inputs that must reach each: a fuzzer that never gets past the first check shows nothing. */
  readonly layers: Readonly<Record<string, number>>
  /** An input; the same for the same randomness. */
  make(random: Random): Buffer
  /**
   * Takes an input as a peer's bytes are taken; gives the work done in bytes and objects. May throw faults. Whatever else is
   * thrown, `assert` included, is a finding.
   */
  run(input: Buffer, reach: Reach): number
}
