// What can be wrong with settings and command lines.

import { declareFaults } from '#protocol/base/mod.ts'

export const fault = declareFaults('fields', {
  FIELD_UNKNOWN: { meaning: 'a setting nobody knows', remedy: 'Correct the name or remove the line' },
  FIELD_MISSING: { meaning: 'a setting is missing', remedy: 'Add it' },
  FIELD_TYPE: { meaning: 'a value of the wrong kind', remedy: 'Write a value of the kind the manual gives' },
  FIELD_RANGE: { meaning: 'a value out of range', remedy: 'Write a value within the range the manual gives' },
  FIELD_PATTERN: { meaning: 'a text of the wrong form', remedy: 'Write a text of the form the manual gives' },
  FIELD_CHOICE: {
    meaning: 'a value that is not one of the choices',
    remedy: 'Write one of the choices the manual gives',
  },
  FIELD_CHECK: { meaning: 'a value that cannot be used', remedy: 'Write a value as the manual describes it' },
  FIELD_DUPLICATE: { meaning: 'a name is written twice', remedy: 'Keep one of the two and remove the other' },
  FIELD_TOO_DEEP: { meaning: 'values are nested too deeply', remedy: 'Write fewer levels, or one value as text' },
  FIELD_TOO_LARGE: {
    meaning: 'too much to read as settings',
    remedy: 'Split it, or move bulk data into a file of its own',
  },
  YAML_SYNTAX: {
    meaning: 'the text is not valid YAML',
    remedy: 'Correct the line; indentation is two spaces, never a tab',
  },
  JSON_SYNTAX: {
    meaning: 'the text begins with { but is not valid JSON',
    remedy: 'Correct the line; names and texts stand in double quotes, and nothing stands behind the last entry but }',
  },
  YAML_ALIAS: {
    meaning: 'anchors (&name) and aliases (*name) are not used in settings',
    remedy: 'Write the value out in each place, or put it in quotes if & or * belongs to a text',
  },
  YAML_ENCODING: { meaning: 'the file is not UTF-8 text', remedy: 'Save it as UTF-8' },
  ARG_COMMAND: { meaning: 'a command nobody knows', remedy: 'See --help for the commands' },
  ARG_UNKNOWN: { meaning: 'an option nobody knows', remedy: 'See --help for the options' },
  ARG_MISSING: { meaning: 'an option is missing', remedy: 'See --help for the options' },
  ARG_EXTRA: { meaning: 'an argument too many', remedy: 'See --help for the arguments' },
  ARG_VALUE: {
    meaning: 'an option with no value, or with one it cannot have',
    remedy: 'Write --name VALUE or --name=VALUE',
  },
  ARG_DUPLICATE: { meaning: 'an option is given twice', remedy: 'Keep one of the two' },
  OUTPUT_FAILED: {
    meaning: 'what was printed could not be written',
    remedy: 'Free space, or print elsewhere; what the command did stays done',
  },
  ARG_TOO_LARGE: { meaning: 'too many or too long arguments', remedy: 'Put the values into a file' },
})
