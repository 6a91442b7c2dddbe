// Settings of the `jsonata` channel.

import { f, type Infer } from '#protocol/fields/mod.ts'
import { documentSettings } from '../../document.ts'
import { EXPRESSION_CHARS_MAX, EXPRESSION_TIMEOUT_MS } from '../../limits.ts'

export const jsonataSettings = f.object({
  expression: f.text({
    doc: 'JSONata on the document, when there is one in `field` or the content, else on the row; its result takes that place',
    maxLength: EXPRESSION_CHARS_MAX,
  }),
  each: f.boolean({ doc: 'a list makes as many items as it has elements', default: true }),
  ...documentSettings,
  timeoutMs: f.duration({
    doc: 'Longest time the expression may take on one item',
    min: 1,
    max: 60_000,
    default: EXPRESSION_TIMEOUT_MS,
  }),
})

export type JsonataSettings = Infer<typeof jsonataSettings>
