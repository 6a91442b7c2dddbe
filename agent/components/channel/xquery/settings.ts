// Settings of the `xquery` channel.

import { f, type Infer } from '#protocol/fields/mod.ts'
import { documentSettings } from '../../document.ts'
import { PARAMETERS_MAX, QUERY_CHARS_MAX } from './limits.ts'

const parameterName = /^[\p{L}_][\p{L}\p{N}\p{M}._-]{0,127}$/u

export const xquerySettings = f.object(
  {
    ...documentSettings,
    file: f.text({ doc: 'file with the query (XQuery 3.1, UTF-8)', maxLength: 4096, optional: true }),
    query: f.text({
      doc: 'the query itself, instead of `file`; the document is its context item',
      maxLength: QUERY_CHARS_MAX,
      optional: true,
    }),
    namespaces: f.record(f.text({ doc: 'a namespace', maxLength: 1_000 }), {
      doc: 'prefix: namespace, beside those that the query declares',
      keys: parameterName,
      max: PARAMETERS_MAX,
      optional: true,
    }),
    parameters: f.record(f.text({ doc: 'a value', maxLength: 10_000 }), {
      doc: 'variable of the query: its value, as text',
      keys: parameterName,
      max: PARAMETERS_MAX,
      optional: true,
    }),
    parameterFields: f.record(f.text({ doc: 'a field', maxLength: 200 }), {
      doc: 'variable of the query: field of the row that has its value (null: the empty sequence)',
      keys: parameterName,
      max: PARAMETERS_MAX,
      optional: true,
    }),
    method: f.choice(['xml', 'text', 'json'], {
      doc: 'what the result is: an XML document with one root element, text, or JSON',
      default: 'xml',
    }),
    each: f.boolean({
      doc: 'each item of the result is a document of its own; an empty result is none',
      default: false,
    }),
  },
  {
    check: ({ file, query, parameters = {}, parameterFields = {} }) => {
      if ((file === undefined) === (query === undefined)) return 'give either `file` or `query`'
      const twice = Object.keys(parameterFields).find((name) => Object.hasOwn(parameters, name))
      return twice === undefined ? null : `the parameter ${twice} is given twice`
    },
  },
)

export type XquerySettings = Infer<typeof xquerySettings>
