// Names of contents come from other machines and become names of files: what could leave a folder, hide, or mean a device on any
// system is refused before it is used anywhere.

import { transferFault } from './faults.ts'
import { CONTENT_NAME_BYTES_MAX } from './limits.ts'

/** Names Windows keeps for devices, with any extension. */
const DEVICES = /^(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)/i
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const FORBIDDEN = /[\u0000-\u001f\u007f/\\<>:"|?*\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/

/** Why `name` cannot be a file's name on every system, or `null`. */
export function nameProblem(name: string): string | null {
  if (name === '') return 'it is empty'
  if (Buffer.byteLength(name) > CONTENT_NAME_BYTES_MAX) return `it is longer than ${CONTENT_NAME_BYTES_MAX} bytes`
  if (name === '.' || name === '..') return 'it means a folder'
  if (name.startsWith('.')) return 'it begins with a dot'
  if (/[. ]$/.test(name)) return 'it ends with a dot or a space'
  if (FORBIDDEN.test(name)) return 'it has a character that no name of a file may have'
  if (DEVICES.test(name)) return 'it is the name of a device'
  if (!name.isWellFormed()) return 'it is not well-formed text'
  return null
}

/** Faults: `CONTENT_NAME_INVALID`. */
export function checkName(name: string): void {
  const why = nameProblem(name)
  if (why !== null) throw transferFault('CONTENT_NAME_INVALID', { where: JSON.stringify(name.slice(0, 80)), why })
}
