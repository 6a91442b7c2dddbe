// Names of contents come from other machines and become names of files: what could leave a folder, hide, or mean a device on any
// system is refused before it is used anywhere.

import { transferFault } from './faults.ts'
import { CONTENT_NAME_BYTES_MAX } from './limits.ts'

/** Names Windows keeps for devices, with any extension, and with spaces before it. */
const DEVICES = /^(?:con|prn|aux|nul|clock\$|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(?:\.|$)/i
/** What no system's file may have in its name, what separates folders, streams and drives, and what controls a terminal. */
const FORBIDDEN = /[/\\<>:"|?*\p{Cc}]/u
/**
 * What cannot be seen: it turns the order of letters round (`gpj.exe` shown as `exe.jpg`), ends lines or makes two names look like
 * one. But the two joiners stay: scripts of Asia and emoji are written with them.
 */
const INVISIBLE = /[\p{Zl}\p{Zp}[\p{Cf}--[\u200c\u200d]]]/v

/**
 * Why `name` cannot be a file's name on every system, or `null`. It is one name and no path, in whatever normal form (NFC, NFD) it
 * was given: whoever makes the file must not write over one that the system takes for the same.
 */
export function nameProblem(name: string): string | null {
  if (name === '') return 'it is empty'
  if (!name.isWellFormed()) return 'it is not well-formed text'
  if (Buffer.byteLength(name) > CONTENT_NAME_BYTES_MAX) return `it is longer than ${CONTENT_NAME_BYTES_MAX} bytes`
  if (name === '.' || name === '..') return 'it means a folder'
  if (name.startsWith('.')) return 'it begins with a dot'
  if (/[. ]$/.test(name)) return 'it ends with a dot or a space'
  if (FORBIDDEN.test(name)) return 'it has a character that no name of a file may have'
  if (INVISIBLE.test(name)) return 'it has a character that cannot be seen'
  if (DEVICES.test(name)) return 'it is the name of a device'
  return null
}

/** Faults: `CONTENT_NAME_INVALID`. */
export function checkName(name: string): void {
  const why = nameProblem(name)
  if (why !== null) throw transferFault('CONTENT_NAME_INVALID', { where: shown(name.slice(0, 80)), why })
}

/** For people: what cannot be seen, or controls what shows it, as its number. */
const shown = (name: string): string =>
  JSON.stringify(name).replace(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (char) => `\\u{${(char.codePointAt(0) as number).toString(16)}}`,
  )
