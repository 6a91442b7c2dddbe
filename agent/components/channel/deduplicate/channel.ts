// Channel `deduplicate`: lets each item pass once.
//
// Items are the same when they have the same key: the values of some fields (of the same type: 1 is not "1"), or the same bytes of
// their document, or, when they have neither, the same fields and values in whatever order. A key is known from the first item on,
// which does not change when it comes again, for `windowMs` and as long as it is among the last `keysMax`. It is known even if a
// later step refuses the item. Keys survive a restart; time as `StateLog.ageMs` counts it.

import { hash } from 'node:crypto'
import { asFault } from '#protocol/base/mod.ts'
import type { Channel, ComponentContext, Item, Reject, Row } from '../../contract.ts'
import { documentOf } from '../../document.ts'
import { valueIn } from '../../field.ts'
import { formatJsonRecord } from '../../formats/mod.ts'
import { checkDepth, StateLog } from '../../state/mod.ts'
import { keyOf, missingIn } from '../key.ts'
import { deduplicateFault } from './faults.ts'
import { SeenKeys } from './keys.ts'
import { DIGEST_CHARS } from './limits.ts'
import type { DeduplicateSettings } from './settings.ts'

export class DeduplicateChannel implements Channel {
  readonly alone = true
  readonly #settings: DeduplicateSettings
  readonly #keys: SeenKeys
  readonly #log: StateLog

  constructor(settings: DeduplicateSettings, context: ComponentContext) {
    this.#settings = settings
    this.#keys = new SeenKeys(settings.keysMax)
    this.#log = new StateLog('deduplicate', this.#keys, context)
  }

  open(state: string | null): Promise<void> {
    return this.#log.open(state)
  }

  async process(items: readonly Item[], reject: (reject: Reject) => void): Promise<readonly Item[]> {
    const { windowMs, duplicates } = this.#settings
    await this.#log.ready()
    const ageMs = this.#log.ageMs()
    if (windowMs !== undefined) this.#keys.forgetUntil(ageMs - windowMs)
    const passed: Item[] = []
    const fresh: string[] = []
    for (const item of items) {
      try {
        const digest = await this.#digestOf(item)
        if (this.#keys.add(digest, ageMs)) {
          fresh.push(digest)
          passed.push(item)
        } else if (duplicates === 'reject') reject({ item, fault: deduplicateFault('DEDUPLICATE_SEEN') })
      } catch (error) {
        reject({ item, fault: asFault(error) })
      }
    }
    if (fresh.length > 0) this.#log.append(SeenKeys.record(fresh, ageMs))
    return passed
  }

  save(): Promise<string> {
    return this.#log.save()
  }

  committed(state: string): Promise<void> {
    return this.#log.committed(state)
  }

  close(): Promise<void> {
    return this.#log.close()
  }

  /** Only documents are read from a disk: rows need no turn of the event loop. */
  #digestOf(item: Item): string | Promise<string> {
    const { key, field } = this.#settings
    checkDepth(item.row)
    if (key !== undefined) {
      const text = keyOf(item.row, key)
      if (text === null) {
        throw deduplicateFault('DEDUPLICATE_KEY_MISSING', { where: 'deduplicate: key', why: missingIn(item.row, key) })
      }
      return digest(text)
    }
    if (field === undefined && item.content === undefined) return digest(wholeOf(item.row))
    return documentOf(item, this.#settings).then(digest)
  }
}

const digest = (of: string | Uint8Array): string => hash('sha256', of, 'binary').slice(0, DIGEST_CHARS)

function wholeOf(row: Row): string {
  const fields = Object.keys(row).sort()
  return formatJsonRecord(fields.flatMap((field) => [field, valueIn(row, field)]))
}
