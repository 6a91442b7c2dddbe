// Settings of the `xslt` channel.

import { f, type Infer } from '#protocol/fields/mod.ts'
import { documentSettings } from '../../document.ts'
import { PARAMETERS_MAX, STYLESHEET_BYTES_MAX } from './limits.ts'

const parameterName = /^(?:Q\{[^{}]{0,500}\})?[\p{L}_][\p{L}\p{N}\p{M}._-]{0,127}$/u

export const xsltSettings = f.object(
  {
    ...documentSettings,
    file: f.text({
      doc: 'stylesheet: .xsl, or .sef.json as the compiler of SaxonJS exports it; include and import reach its folder and those below',
      maxLength: 4096,
      optional: true,
    }),
    stylesheet: f.text({
      doc: 'the stylesheet itself, instead of `file`',
      maxLength: STYLESHEET_BYTES_MAX,
      optional: true,
    }),
    parameters: f.record(f.text({ doc: 'a value', maxLength: 10_000 }), {
      doc: 'parameter of the stylesheet: its value, as text (the type is what the stylesheet declares)',
      max: PARAMETERS_MAX,
      keys: parameterName,
      optional: true,
    }),
    parameterFields: f.record(f.text({ doc: 'a field', maxLength: 200 }), {
      doc: 'parameter of the stylesheet: field of the row that has its value',
      max: PARAMETERS_MAX,
      keys: parameterName,
      optional: true,
    }),
    engine: f.choice(['auto', 'saxon'], {
      doc: 'auto: as a mapping, which is many times faster, when the stylesheet is one (`causeway-agent mapping import` says), else by SaxonJS',
      default: 'auto',
    }),
    name: f.text({
      doc: 'name of the result, with fields of the row in it: {name} as it was, {stem} without its ending; left out: as it was',
      maxLength: 1000,
      optional: true,
    }),
    mediaType: f.text({
      doc: 'media type of the result; left out: that of xsl:output, else by its method (application/xml, text/html, text/plain)',
      maxLength: 200,
      optional: true,
    }),
  },
  {
    check: ({ file, stylesheet, parameters = {}, parameterFields = {} }) => {
      if ((file === undefined) === (stylesheet === undefined)) return 'give either `file` or `stylesheet`'
      const twice = Object.keys(parameterFields).find((name) => Object.hasOwn(parameters, name))
      return twice === undefined ? null : `the parameter ${twice} is given twice`
    },
  },
)

export type XsltSettings = Infer<typeof xsltSettings>
