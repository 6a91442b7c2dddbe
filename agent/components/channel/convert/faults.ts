// Faults of `convert`. Those of text files (CSV_COLUMNS, TEXT_UNDECODABLE, …) and of XML are raised as well.

import { declareFaults } from '#protocol/base/mod.ts'

export const convertFault = declareFaults('components', {
  CONVERT_FILE_GIVEN: {
    meaning: 'this step makes documents of rows, and a file came',
    remedy:
      'Name the format of the file in `from`, or keep files away with a `filter`: their content would be lost here',
  },
  CONVERT_ENCODING: {
    meaning: 'the document is not in this encoding',
    remedy: 'Correct `encoding` in `from`, or have the document sent in it',
  },
  CONVERT_RECORDS_MANY: {
    meaning: 'the document has more records than become rows',
    remedy: 'Raise `recordsMax` if the memory is there, or cut the document with a `split` before this step',
  },
  CONVERT_RECORDS_COUNT: {
    meaning: 'one record makes this document, and there was not one',
    remedy: 'Leave `single` out, or give the document a `record` name, so that it can hold any number',
  },
  CONVERT_GROUPS_MANY: {
    meaning: 'the rows fall into more groups than become documents at once',
    remedy: 'Choose other `group` fields, or let the source give smaller portions (`batchRows`)',
  },
  CONVERT_PATH: {
    meaning: 'the document has nothing at the path of the records',
    remedy: 'Correct `path` in `from`, or have the document sent in its agreed form',
  },
  CONVERT_FIELD_TWICE: {
    meaning: 'a record has several elements where one value is wanted',
    remedy: 'List the field in `arrays`, or make its path lead to one element',
  },
  CONVERT_EXTRA_FIELDS: {
    meaning: 'the record has fields that the document has no place for',
    remedy: 'List them, drop them in a `map` before this step, or set `ignoreExtra: true`',
  },
  CONVERT_VALUE: {
    meaning: 'the format cannot hold this value',
    remedy: 'Give the field another form in a `map` or `script` before this step',
  },
  CONVERT_DATE: {
    meaning: 'the value is no date in this form',
    remedy: 'Correct the pattern in `dates`, or the value at its source',
  },
  CONVERT_NUMBER: {
    meaning: 'the value is no number in this form, or one that a number here cannot hold exactly',
    remedy: 'Correct the form in `numbers`, or leave the field out of it: as a text it keeps every digit',
  },
  CONVERT_WIDTH: {
    meaning: 'the value is wider than its column',
    remedy: 'Widen the column if the form allows it, or shorten the value in a `map` before this step',
  },
  CONVERT_LENGTH: {
    meaning: 'the line does not have the length of its columns',
    remedy: 'Correct the columns in `from`, or the line at its source; `unit` says whether bytes or characters count',
  },
  CONVERT_MIXED: {
    meaning: 'an element has text beside other elements, whose order would be lost',
    remedy: 'Take what is wanted by `fields`, or transform such documents with `xslt`',
  },
  CONVERT_ORDER: {
    meaning: 'elements of one name stand apart, with others between them: their order would be lost',
    remedy: 'Set `interleaved: true` if the order means nothing, or take what is wanted by `fields`',
  },
  CONVERT_XML_NAME: {
    meaning: 'a field cannot be an element of this name',
    remedy: 'Rename it in a `map` before this step, or give it a path in `fields`',
  },
  CONVERT_XLSX: {
    meaning: 'the file is not an Excel workbook that can be read (.xlsx)',
    remedy: 'Save it as .xlsx without a password; .xls and .xlsb are other formats',
  },
  CONVERT_XLSX_TOO_LARGE: {
    meaning: 'the workbook unpacks to more than it may',
    remedy: 'If it is what it seems, raise `bytesMax` or have it sent in parts; else have its sender checked',
  },
  CONVERT_SHEET: {
    meaning: 'the workbook has no such sheet',
    remedy: 'Correct `sheet` in `from`: a name, or the number of the sheet from 1',
  },
  CONVERT_CELL: {
    meaning: 'a cell has no value that can be taken',
    remedy: 'Have the cell corrected; formulas need to be calculated and saved by a spreadsheet program',
  },
})
