// Settings of the `filter` channel.

import { f, type Infer } from '#protocol/fields/mod.ts'
import { documentSettings } from '../../document.ts'
import { EXPRESSION_CHARS_MAX, EXPRESSION_TIMEOUT_MS } from '../../limits.ts'
import { predicateSpec } from '../../predicates/mod.ts'

export const filterSettings = f.object(
  {
    where: f.text({
      doc: 'JSONata condition on the row; items for which it is true pass',
      maxLength: EXPRESSION_CHARS_MAX,
      optional: true,
    }),
    when: f.optional(predicateSpec, { doc: 'condition on what the document says; documents of which it is true pass' }),
    ...documentSettings,
    timeoutMs: f.duration({
      doc: 'Longest time `where` may take on one row',
      min: 1,
      max: 60_000,
      default: EXPRESSION_TIMEOUT_MS,
    }),
  },
  {
    check: ({ where, when }) =>
      (where === undefined) === (when === undefined) ? 'give either `where` or `when`' : null,
  },
)

export type FilterSettings = Infer<typeof filterSettings>
