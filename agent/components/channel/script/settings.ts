// Settings of the `script` channel.

import { f, type Infer } from '#protocol/fields/mod.ts'
import { DOCUMENT_BYTES_DEFAULT, DOCUMENT_BYTES_MAX } from '../../limits.ts'
import {
  MEMORY_BYTES_DEFAULT,
  MEMORY_BYTES_MAX,
  MEMORY_BYTES_MIN,
  SCRIPT_CHARS_MAX,
  STEPS_DEFAULT,
  STEPS_MAX,
  STEPS_PER_LOOK,
  TIMEOUT_MS_DEFAULT,
  TIMEOUT_MS_MAX,
} from './limits.ts'

export const scriptSettings = f.object({
  script: f.text({
    doc: 'JavaScript with `function process(item)`; item is `{ row, name, mediaType, text or bytes }`; it returns such an item, a list, or null',
    minLength: 1,
    maxLength: SCRIPT_CHARS_MAX,
  }),
  content: f.choice(['none', 'text', 'bytes'], {
    doc: 'what the script gets of the content of a file: nothing, its text (UTF-8), or its bytes',
    default: 'none',
  }),
  bytesMax: f.bytes({
    doc: 'largest content given to the script or taken from it',
    min: 1,
    max: DOCUMENT_BYTES_MAX,
    default: DOCUMENT_BYTES_DEFAULT,
  }),
  timeoutMs: f.duration({ doc: 'longest time for one item', min: 1, max: TIMEOUT_MS_MAX, default: TIMEOUT_MS_DEFAULT }),
  stepsMax: f.integer({
    doc: 'most calls and turns of loops for one item',
    min: STEPS_PER_LOOK,
    max: STEPS_MAX,
    default: STEPS_DEFAULT,
  }),
  memoryBytes: f.bytes({
    doc: 'most memory for one item',
    min: MEMORY_BYTES_MIN,
    max: MEMORY_BYTES_MAX,
    default: MEMORY_BYTES_DEFAULT,
  }),
})

export type ScriptSettings = Infer<typeof scriptSettings>
