// Settings of the `map` channel.

import { f, type Infer } from '#protocol/fields/mod.ts'
import { EXPRESSION_CHARS_MAX, EXPRESSION_TIMEOUT_MS, FIELDS_MAX } from '../../limits.ts'

const name = f.text({ doc: 'a field', maxLength: 128 })
const names = /^(?!__proto__$)[^\0]{1,128}$/

export const mapSettings = f.object(
  {
    keep: f.list(name, { doc: 'Fields of the incoming row to keep; all others go', max: FIELDS_MAX, optional: true }),
    drop: f.list(name, { doc: 'Fields of the incoming row to leave out', max: FIELDS_MAX, optional: true }),
    rename: f.record(name, { doc: 'New name: old name', max: FIELDS_MAX, keys: names, optional: true }),
    constants: f.record(f.any({ doc: 'a value' }), {
      doc: 'Field: fixed value',
      max: FIELDS_MAX,
      keys: names,
      optional: true,
    }),
    expressions: f.record(f.text({ doc: 'a JSONata expression', maxLength: EXPRESSION_CHARS_MAX }), {
      doc: 'Field: JSONata expression on the incoming row, with its old names',
      max: FIELDS_MAX,
      keys: names,
      optional: true,
    }),
    timeoutMs: f.duration({
      doc: 'Longest time one expression may take on one row',
      min: 1,
      max: 60_000,
      default: EXPRESSION_TIMEOUT_MS,
    }),
  },
  {
    check: (settings) => {
      const { keep, drop, rename = {}, constants = {}, expressions = {} } = settings
      if (keep !== undefined && drop !== undefined) return 'give either `keep` or `drop`'
      const dropped = Object.values(rename).find((old) => drop?.includes(old))
      if (dropped !== undefined) return `${dropped} is both dropped and renamed`
      const twice = Object.keys(expressions).find(
        (field) => Object.hasOwn(constants, field) || Object.hasOwn(rename, field),
      )
      if (twice !== undefined) return `${twice} is set twice`
      const both = Object.keys(constants).find((field) => Object.hasOwn(rename, field))
      return both === undefined ? null : `${both} is set twice`
    },
  },
)

export type MapSettings = Infer<typeof mapSettings>
