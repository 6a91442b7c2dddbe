// A stand-in for an agent's spool: sealed batches that outlive the agent's program, until the hub has them.

import type { BatchStore } from '#agent/client/mod.ts'
import { BatchBuilder, NO_HEADERS, openBatch } from '#protocol/codec/mod.ts'
import type { SigningKey } from '#protocol/crypto/mod.ts'
import { START_MS } from './clock.ts'

type Kept = { readonly firstSeq: number; readonly count: number; readonly bytes: Buffer }

export class SimSpool implements BatchStore {
  readonly name: string
  readonly epoch: number
  /** As the disk has it. */
  releasedSeq = 0
  releasedTo: string | null = null
  onReleased: (id: string) => void = () => {}
  private readonly origin: string
  private readonly key: SigningKey
  private batches: Kept[] = []
  private nextSeq = 1

  constructor(options: { name: string; origin: string; key: SigningKey; epoch: number }) {
    this.name = options.name
    this.origin = options.origin
    this.key = options.key
    this.epoch = options.epoch
  }

  get waiting(): number {
    return this.batches.length
  }

  add(messages: readonly { topic: string; key: string; id: string }[]): void {
    const builder = new BatchBuilder()
    for (const { topic, key, id } of messages) builder.add(topic, NO_HEADERS, Buffer.from(key), id)
    const bytes = builder.seal({
      origin: this.origin,
      stream: this.name,
      epoch: this.epoch,
      firstSeq: this.nextSeq,
      sealedAtMs: START_MS,
      key: this.key,
      compression: 'none',
      tree: false,
    })
    this.batches.push({ firstSeq: this.nextSeq, count: messages.length, bytes })
    this.nextSeq += messages.length
  }

  read({ seq, bytesMax }: { seq: number; bytesMax: number }): readonly Kept[] {
    const found: Kept[] = []
    let bytes = 0
    for (const batch of this.batches) {
      if (batch.firstSeq < seq || (found.length > 0 && bytes >= bytesMax)) continue
      found.push(batch)
      bytes += batch.bytes.length
    }
    return found
  }

  async release(seq: number, storeId: string): Promise<void> {
    this.releasedTo = storeId
    while (this.batches.length > 0) {
      const { firstSeq, count, bytes } = this.batches[0] as Kept
      if (firstSeq + count - 1 > seq) return
      this.batches.shift()
      this.releasedSeq = firstSeq + count - 1
      const message = openBatch(bytes).messages()
      for (let i = 0; i < count; i++) this.onReleased(String(message(i).body))
    }
  }
}
