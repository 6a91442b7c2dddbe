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
})
