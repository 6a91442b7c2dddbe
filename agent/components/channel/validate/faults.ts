import { declareFaults } from '#protocol/base/mod.ts'

export const validateFault = declareFaults('components', {
  VALIDATE_SCHEMA_UNREADABLE: {
    meaning: 'a file of the schema cannot be read',
    remedy:
      'Check the path; a relative one starts at the folder of the flow file, that of a reference at the schema that has it',
  },
  VALIDATE_SCHEMA_INVALID: {
    meaning: 'this is not a schema that can be used',
    remedy: 'Correct the place that is named',
  },
  VALIDATE_SCHEMA_REFUSED: {
    meaning: 'the schema refers to something outside of its folder and that of the flow file',
    remedy: 'Put a copy of it there and refer to that; nothing is fetched from the network',
  },
  VALIDATE_INVALID: {
    meaning: 'the document is not as its schema says',
    remedy: 'Have its sender correct it, or the schema its author; the other documents went on',
  },
  VALIDATE_TOO_DEEP: {
    meaning: 'the document is nested too deep to be validated',
    remedy: 'Have it sent flatter',
  },
})
