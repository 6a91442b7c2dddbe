// The ways in which one process here maps documents: by the compiled mapping, through the channel with it, by SaxonJS.

import { createRequire } from 'node:module'
import { parse } from 'yaml'
import { compileMapping, MappingChannel, mappingSettings, parseMapping } from '#agent/components/channel/mapping/mod.ts'
import type { Item } from '#agent/components/contract.ts'
import { decodeXml, XmlParser } from '#agent/components/xml/mod.ts'
import { systemClock } from '#protocol/base/mod.ts'
import { parseValue } from '#protocol/fields/mod.ts'
import type { Work } from './work.ts'

export const WAYS = ['mapping', 'channel', 'saxon'] as const
export type Way = (typeof WAYS)[number]

/** Maps some documents, each the given bytes, and gives the last result. */
export type Batch = { readonly documents: number; run(): Promise<Buffer> }

const BATCH = 100

export function batchOf(way: Way, work: Work, document: Buffer, compiledStylesheet: string): Batch {
  switch (way) {
    case 'mapping': {
      const compiled = compileMapping(parseMapping(work.mapping, work.name))
      const parser = new XmlParser(compiled.names)
      const once = () => Buffer.from(compiled.map(parser.parse(decodeXml(document))))
      return { documents: BATCH, run: async () => repeated(once) }
    }
    case 'channel':
      return channelBatch(work, document)
    case 'saxon': {
      const saxon: Saxon = createRequire(import.meta.url)('saxon-js')
      const options = { stylesheetText: compiledStylesheet, destination: 'serialized' }
      const once = () =>
        Buffer.from(saxon.transform({ ...options, sourceText: document.toString() }, 'sync').principalResult)
      return { documents: 1, run: async () => once() }
    }
  }
}

type Saxon = { transform(options: object, mode: 'sync'): { readonly principalResult: string } }

function repeated(once: () => Buffer): Buffer {
  let last = once()
  for (let i = 1; i < BATCH; i += 1) last = once()
  return last
}

function channelBatch(work: Work, document: Buffer): Batch {
  const settings = parseValue(mappingSettings, { mapping: parse(work.mapping) }, { where: work.name })
  if (!settings.ok) throw settings.fault[0]
  const channel = new MappingChannel(settings.value, {
    flow: 'bench',
    dataDir: '',
    clock: systemClock,
    resolvePath: (path) => path,
    log: () => undefined,
  })
  const items = Array.from({ length: BATCH }, (_, i): Item => {
    const row = { name: `${i}.xml`, size: document.length, modified: null, mediaType: 'application/xml' }
    return { row, ref: i, content: { kind: 'bytes', bytes: document } }
  })
  const refuse = ({ fault }: { fault: Error }): void => {
    throw fault
  }
  return {
    documents: BATCH,
    async run() {
      const done = await channel.process(items, refuse)
      const content = done.at(-1)?.content
      if (done.length !== BATCH || content?.kind !== 'bytes') throw new Error('the channel gave something else')
      return Buffer.from(content.bytes)
    },
  }
}
