// Rules that a message fits by topic and headers, among few and among many: what it costs must hardly grow.

import { compileRules } from '#hub/router/rules/mod.ts'
import type { Case, Suite } from './suite.ts'

const ENVELOPES = 1000
const SIZES = [100, 10_000, 100_000] as const

export function rules(): Suite {
  return { cases: SIZES.flatMap((size) => [byHeader(size), byTopic(size)]) }
}

/** All rules of one topic; a header tells them apart. */
function byHeader(size: number): Case {
  const compiled = compileRules({
    mode: 'all',
    default: [],
    pipelines: {},
    rules: Array.from({ length: size }, (_, i) => ({
      name: `area ${i}`,
      topics: ['register/#'],
      where: { area: [String(i)], kind: ['permit', 'plan'] },
      to: [`queue-${i % 1000}`],
      final: false,
    })),
  })
  const envelopes = spread(size).map((i) => ({
    topic: 'register/permits',
    headers: { area: String(i), kind: 'permit', clerk: i },
  }))
  return matching(`find the rule of a header among ${size}`, compiled, envelopes)
}

/** A topic pattern for each rule. */
function byTopic(size: number): Case {
  const compiled = compileRules({
    mode: 'all',
    default: [],
    pipelines: {},
    rules: Array.from({ length: size }, (_, i) => ({
      name: `permit ${i}`,
      topics: [`permits/${i}/#`],
      where: {},
      to: [`queue-${i % 1000}`],
      final: false,
    })),
  })
  const envelopes = spread(size).map((i) => ({ topic: `permits/${i}/seen`, headers: {} }))
  return matching(`find the rule of a topic among ${size}`, compiled, envelopes)
}

/** All over the rules, not in their order. */
const spread = (size: number): number[] => Array.from({ length: ENVELOPES }, (_, i) => (i * 7919) % size)

function matching(
  name: string,
  compiled: ReturnType<typeof compileRules>,
  envelopes: readonly Parameters<typeof compiled.match>[0][],
): Case {
  return {
    name,
    unit: 'messages',
    perRun: ENVELOPES,
    run: () => {
      let found = 0
      for (const envelope of envelopes) found += compiled.match(envelope).rules.length
      if (found !== ENVELOPES) throw new Error(`${found} rules found`)
    },
  }
}
