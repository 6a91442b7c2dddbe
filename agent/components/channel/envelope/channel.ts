// Channel `envelope`: MIME multiparts, web forms and SOAP messages around documents, put on and taken off.
//
// Own code rather than a library for mail: those guess what a broken message may mean, and here two readers of one message must see the
// same. Attachments are never opened themselves. Stateless; the same input gives the same output, boundaries and ids included.

import { asFault } from '#protocol/base/mod.ts'
import type { Channel, ComponentContext, Item, Reject } from '../../contract.ts'
import { XmlParser } from '../../xml/mod.ts'
import type { EnvelopeSettings } from './settings.ts'
import { unwrap } from './unwrap.ts'
import { wrap } from './wrap.ts'

export class EnvelopeChannel implements Channel {
  readonly #settings: EnvelopeSettings
  readonly #parser = new XmlParser()

  constructor(settings: EnvelopeSettings, _context: ComponentContext) {
    this.#settings = settings
  }

  async process(items: readonly Item[], reject: (reject: Reject) => void): Promise<readonly Item[]> {
    const done: Item[] = []
    for (const item of items) {
      try {
        if (this.#settings.direction === 'wrap') done.push(await wrap(item, this.#settings, this.#parser))
        else for (const each of await unwrap(item, this.#settings, this.#parser)) done.push(each)
      } catch (error) {
        reject({ item, fault: asFault(error, 'envelope') })
      }
    }
    return done
  }
}
