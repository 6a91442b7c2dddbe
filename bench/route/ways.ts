// The ways in which one process here routes messages.

import { compilePredicates } from '#agent/components/predicates/mod.ts'
import { Router } from '#hub/router/mod.ts'
import { compileRules } from '#hub/router/rules/mod.ts'
import { policyOf, Queue } from '#hub/store/mod.ts'
import { openBatch } from '#protocol/codec/mod.ts'
import { type Alike, BATCH_MESSAGES, conditions, documents, headerBatches, headerRules } from './sample.ts'

export const WAYS = ['content', 'fontoxpath', 'libxml2', 'header', 'header-distinct', 'header-unique'] as const
export type Way = (typeof WAYS)[number]

/** Routes some messages, and gives how many rules fitted, so that all ways can be held against each other. */
export type Work = { readonly messages: number; run(): Promise<number> }

export async function workOf(way: Way, rules: number): Promise<Work> {
  switch (way) {
    case 'content':
      return byContent()
    case 'fontoxpath':
      return byFontoxpath()
    case 'libxml2':
      return byLibxml2()
    case 'header':
      return byHeader(rules, 'ten')
    case 'header-distinct':
      return byHeader(rules, 'none')
    case 'header-unique':
      return byHeader(rules, 'never')
  }
}

function byContent(): Work {
  const predicates = compilePredicates(conditions())
  const bodies = documents()
  return {
    messages: bodies.length,
    run: async () => {
      let fit = 0
      for (const body of bodies) {
        for (const verdict of await predicates.test(body, 'application/xml')) if (verdict === true) fit++
      }
      return fit
    },
  }
}

/** Each document parsed once, each condition evaluated; expressions are compiled once, by its own cache. */
async function byFontoxpath(): Promise<Work> {
  const { default: fontoxpath } = await import('fontoxpath')
  const { parseXmlDocument } = await import('slimdom')
  const expressions = conditions().map(({ xpath }) => xpath as string)
  const bodies = documents()
  return {
    messages: bodies.length,
    run: async () => {
      let fit = 0
      for (const body of bodies) {
        const document = parseXmlDocument(body.toString())
        for (const expression of expressions) if (fontoxpath.evaluateXPathToBoolean(expression, document)) fit++
      }
      return fit
    },
  }
}

async function byLibxml2(): Promise<Work> {
  const { XmlDocument, XmlXPath } = await import('libxml2-wasm')
  const expressions = conditions().map(({ xpath }) => XmlXPath.compile(`boolean(${xpath})`))
  const bodies = documents()
  return {
    messages: bodies.length,
    run: async () => {
      let fit = 0
      for (const body of bodies) {
        using document = XmlDocument.fromBuffer(body)
        for (const expression of expressions) if (document.eval(expression) === true) fit++
      }
      return fit
    },
  }
}

function byHeader(count: number, alike: Alike): Work {
  const compiled = compileRules({
    mode: 'all',
    default: [],
    pipelines: {},
    rules: headerRules(count).map((rule) => ({ ...rule, final: false })),
  })
  const queues = new Map<string, Queue>()
  const queueOf = (name: string): Queue => {
    let queue = queues.get(name)
    if (queue === undefined) {
      const rule = { topics: [], where: {} }
      queue = new Queue({ id: queues.size + 1, name, rule, owner: null, ephemeral: false, policy: policyOf({}) })
      queues.set(name, queue)
    }
    return queue
  }
  const router = new Router()
  router.use({
    rules: {
      version: { version: 1 },
      defaults: [],
      isQuick: compiled.isQuick,
      route: (envelope) => compiled.atOnce(envelope),
    },
    queue: queueOf('$routing'),
    named: queueOf,
  })
  const unrouted = queueOf('$unrouted')
  const batches = headerBatches(count, { batches: 200, alike })
  return {
    messages: batches.length * BATCH_MESSAGES,
    run: async () => {
      let placed = 0
      for (const bytes of batches) {
        const { placements, unroutedCount } = router.route(openBatch(bytes), unrouted)
        for (const { count } of placements) placed += count
        placed -= unroutedCount
      }
      return placed
    },
  }
}
