// Mappings in files of their own.

import { readFile, stat } from 'node:fs/promises'
import { Fault } from '#protocol/base/mod.ts'
import { decodeText, parseFields, TEXT_BYTES_MAX } from '#protocol/fields/mod.ts'
import type { Mapping } from './ast.ts'
import { mappingFault } from './faults.ts'
import { mappingFields, readMapping } from './notation/mod.ts'

/** Reads a file in YAML with `namespaces`, `tables`, `root`. Faults: MAPPING_FILE_UNREADABLE, MAPPING_INVALID, those of settings. */
export async function loadMapping(path: string): Promise<Mapping> {
  let bytes: Buffer
  try {
    const { size } = await stat(path)
    if (size > TEXT_BYTES_MAX) {
      throw mappingFault('MAPPING_FILE_UNREADABLE', { where: path, why: `${size} bytes`, limitBytes: TEXT_BYTES_MAX })
    }
    bytes = await readFile(path)
  } catch (cause) {
    if (cause instanceof Fault) throw cause
    throw mappingFault('MAPPING_FILE_UNREADABLE', { where: path, cause })
  }
  const text = decodeText(bytes, { file: path })
  if (!text.ok) throw text.fault[0] as Fault
  return parseMapping(text.value, path)
}

/** The same of a text. Faults have `file:line:column` in `where`, or the way from the root. */
export function parseMapping(text: string, file: string): Mapping {
  const parsed = parseFields(mappingFields, text, { file })
  if (!parsed.ok) throw parsed.fault[0] ?? mappingFault('MAPPING_INVALID', { where: file })
  return readMapping(parsed.value)
}
