import { declareFaults } from '#protocol/base/mod.ts'

export const xqueryFault = declareFaults('components', {
  XQUERY_FILE_UNREADABLE: {
    meaning: 'the query cannot be read',
    remedy: 'Check `file`; a relative path starts at the folder of the flow file, and the text is UTF-8',
  },
  XQUERY_PARAMETER_MISSING: {
    meaning: 'the row lacks a field that is a parameter of the query',
    remedy: 'Correct `parameterFields`, or set the field in a channel before this one',
  },
  XQUERY_RESULT: {
    meaning: 'the result of the query cannot be written as its settings say',
    remedy:
      'Give one element for `method: xml`, values for text, maps, arrays and values for json; with `each: true` that is of each item',
  },
})
