// Conditions on what a document says, as rules and filters have them.

import { f, type Infer } from '#protocol/fields/mod.ts'
import { EXPRESSION_CHARS_MAX } from '../limits.ts'
import { NAMESPACES_MAX, POINTERS_MAX } from './limits.ts'

const LANGUAGES = ['xpath', 'xpath3', 'jsonata', 'pointer'] as const
export type Language = (typeof LANGUAGES)[number]

export const predicateSpec = f.object(
  {
    xpath: f.text({
      doc: 'XPath 1.0 on an XML document, seen from the document node: true when its boolean() is',
      maxLength: EXPRESSION_CHARS_MAX,
      optional: true,
    }),
    xpath3: f.text({
      doc: 'XPath 3.1 on an XML document; slower: use it for what XPath 1.0 cannot say',
      maxLength: EXPRESSION_CHARS_MAX,
      optional: true,
    }),
    namespaces: f.record(f.text({ doc: 'a namespace', maxLength: 1_000 }), {
      doc: 'Prefix: namespace, for xpath and xpath3',
      keys: /^[\p{L}_][\p{L}\p{N}_.-]{0,99}$/u,
      max: NAMESPACES_MAX,
      optional: true,
    }),
    jsonata: f.text({
      doc: 'JSONata on a JSON document: true passes, false and nothing do not, all else is a mistake',
      maxLength: EXPRESSION_CHARS_MAX,
      optional: true,
    }),
    pointer: f.record(f.any({ doc: 'a text, a number, true, false or null, or a list of them' }), {
      doc: 'JSON Pointer: the value that stands there in a JSON document, or a list of values; all must be so',
      keys: /^\/([^~]|~[01])*$/,
      max: POINTERS_MAX,
      optional: true,
    }),
  },
  {
    check: (spec) => {
      const given = LANGUAGES.filter((each) => spec[each] !== undefined)
      if (given.length !== 1) return `give one of ${LANGUAGES.join(', ')}`
      if (spec.namespaces !== undefined && spec.xpath === undefined && spec.xpath3 === undefined) {
        return '`namespaces` go with xpath or xpath3'
      }
      const wrong = Object.entries(spec.pointer ?? {}).find(([, value]) => !isWanted(value))
      return wrong === undefined
        ? null
        : `${wrong[0]} is to be a text, a number, true, false or null, or a list of them`
    },
  },
)

export type PredicateSpec = Infer<typeof predicateSpec>

function isWanted(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0 && value.every((each) => !Array.isArray(each) && isWanted(each))
  return value === null || typeof value !== 'object'
}
