// One document, parsed at most once for each of what conditions look at, and only when one does.
//
// What it is says its content type; where that says nothing, its first character: `<` is XML, `{` or `[` is JSON, all else is
// neither. Conditions on what it is not are false; a document that is not what it says to be gives its fault to all of them.

import type { XmlDocument } from 'libxml2-wasm'
import type { Document } from 'slimdom'
import { Fault } from '#protocol/base/mod.ts'
import { readJson } from '../channel/mod.ts'
import { componentFault } from '../faults.ts'
import { parseLibxml } from '../libxml/mod.ts'
import { parseDom } from '../xdm/mod.ts'
import type { XmlTree } from '../xml/mod.ts'
import { beyondBounds, xmlText } from './xml.ts'

export type Nature = 'xml' | 'json' | 'other'

/** A parse that is made once: its value, or the fault it ended in. */
class Once<T> {
  readonly #make: () => T
  #made: { readonly value: T } | Fault | null = null

  constructor(make: () => T) {
    this.#make = make
  }

  get(): T {
    if (this.#made === null) {
      try {
        this.#made = { value: this.#make() }
      } catch (error) {
        if (!(error instanceof Fault)) throw error
        this.#made = error
      }
    }
    if (this.#made instanceof Fault) throw this.#made
    return this.#made.value
  }

  /** What was made, if it was. */
  get made(): T | null {
    return this.#made === null || this.#made instanceof Fault ? null : this.#made.value
  }
}

/** All parses throw the document's fault, the same each time. Dispose it: libxml2's memory is not garbage collected. */
export class ParsedDocument {
  readonly nature: Nature
  readonly #json: Once<unknown>
  readonly #tree: Once<XmlTree>
  readonly #libxml: Once<XmlDocument>
  readonly #dom: Once<Document>

  /** `parse` gives the flat tree, which is valid until it parses the next document. */
  constructor(
    body: Buffer,
    options: {
      readonly contentType: string
      readonly bytesMax: number
      readonly parse: (text: string) => XmlTree
    },
  ) {
    const { contentType, bytesMax, parse } = options
    const charset = /;\s*charset\s*=\s*"?([^";\s]{1,40})/i.exec(contentType)?.[1] ?? null
    this.nature = natureOf(body, contentType)
    this.#json = new Once(() => readJson(bounded(body, bytesMax), { charset }))
    let text = ''
    this.#tree = new Once(() => {
      text = xmlText(bounded(body, bytesMax), charset)
      return parse(text)
    })
    // Only what is well-formed goes further.
    this.#libxml = new Once(() => this.#tree.get() && guarded(() => parseLibxml(Buffer.from(text))))
    this.#dom = new Once(() => this.#tree.get() && guarded(() => parseDom(text)))
  }

  get json(): unknown {
    return this.#json.get()
  }

  /** To be used at once. */
  get tree(): XmlTree {
    return this.#tree.get()
  }

  get libxml(): XmlDocument {
    return this.#libxml.get()
  }

  get dom(): Document {
    return this.#dom.get()
  }

  [Symbol.dispose](): void {
    this.#libxml.made?.dispose()
  }
}

function guarded<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw beyondBounds(error)
  }
}

function bounded(body: Buffer, limitBytes: number): Buffer {
  if (body.length <= limitBytes) return body
  const todo = 'Decide by topic, headers or name about such documents'
  throw componentFault('DOCUMENT_TOO_LARGE', { why: `${body.length} bytes`, limitBytes, todo })
}

function natureOf(body: Buffer, contentType: string): Nature {
  const type = contentType.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (type === 'application/json' || type.endsWith('+json') || type === 'text/json') return 'json'
  if (type === 'application/xml' || type.endsWith('+xml') || type === 'text/xml') return 'xml'
  return natureOfBytes(body)
}

const XML_STARTS = new Set(['<', '<\0', '\0<'])

function natureOfBytes(body: Buffer): Nature {
  // Byte order marks of UTF-8 and UTF-16, then white space.
  const start = body
    .toString('latin1', 0, 1_024)
    .replace(/^(\xef\xbb\xbf|\xff\xfe|\xfe\xff)/, '')
    .replace(/^[ \t\r\n]+/, '')
  if (XML_STARTS.has(start.slice(0, 1)) || XML_STARTS.has(start.slice(0, 2))) return 'xml'
  return start.startsWith('{') || start.startsWith('[') ? 'json' : 'other'
}
