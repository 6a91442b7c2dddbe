import { declareFaults } from '#protocol/base/mod.ts'

export const queryFault = declareFaults('components', {
  QUERY_SYNTAX: {
    meaning: 'the query is not valid',
    remedy: 'Correct it; see www.w3.org/TR/xpath-31 or www.w3.org/TR/xquery-31',
  },
  QUERY_FAILED: {
    meaning: 'the query failed on this document',
    remedy: 'Make the query cope with such documents, or correct the document',
  },
})
