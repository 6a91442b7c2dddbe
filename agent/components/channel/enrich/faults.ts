// Faults of the channel `enrich`. ENRICH_NOT_FOUND, ENRICH_KEY_INVALID and ENRICH_QUERY_TIMEOUT concern one row, the others stop the flow when it starts.

import { declareFaults } from '#protocol/base/mod.ts'

export const enrichFault = declareFaults('components', {
  ENRICH_NOT_FOUND: {
    meaning: 'nothing is known of the row',
    remedy: 'Add the key to the table, correct the row, or let `missing` put null or defaults in',
  },
  ENRICH_KEY_INVALID: {
    meaning: 'the row has a key that cannot be looked up',
    remedy: 'Give the field a text or a number in a `map` channel before this one',
  },
  ENRICH_TABLE_INVALID: {
    meaning: 'the look-up table cannot be used',
    remedy: 'Correct the file; write it under another name and rename it when it is complete',
  },
  ENRICH_COLUMN_MISSING: {
    meaning: 'a column named in the settings does not exist',
    remedy: 'Check the column names',
  },
  ENRICH_QUERY_TIMEOUT: {
    meaning: 'the query did not end in time for this row and was stopped',
    remedy: 'Let it find its row by an index (EXPLAIN QUERY PLAN says SEARCH, not SCAN), or raise `queryMs`',
  },
  ENRICH_QUERY_ENDED: {
    meaning: 'the process that runs the query ended',
    remedy: 'It is started anew; if this goes on, see what ends it: the log of the system, or too little memory',
  },
  ENRICH_PARAMETERS: {
    meaning: 'the query has another number of parameters than `key` has fields',
    remedy: 'Write one `?` for each field of `key`, in their order',
  },
})
