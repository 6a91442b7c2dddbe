import { declareFaults } from '#protocol/base/mod.ts'

export const predicateFault = declareFaults('components', {
  PREDICATE_SYNTAX: {
    meaning: 'the condition is not valid',
    remedy: 'Correct the expression in the rule or flow file',
  },
  PREDICATE_FAILED: {
    meaning: 'the condition could not be decided on this document',
    remedy: 'Make the condition cope with such documents, or correct the document at its source',
  },
  DOCUMENT_NOT_JSON: {
    meaning: 'the document is not JSON as it should be',
    remedy: 'Have its sender correct it; the other documents went on',
  },
})
