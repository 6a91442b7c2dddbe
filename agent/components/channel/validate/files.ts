// Files of a schema: those of its own folder and of the flow's, and below. Links do not lead out of them.

import { readFileSync, realpathSync, statSync } from 'node:fs'
import { sep } from 'node:path'
import { Fault } from '#protocol/base/mod.ts'
import { validateFault } from './faults.ts'
import { SCHEMA_BYTES_MAX, SCHEMA_FILES_MAX } from './limits.ts'

export class SchemaFiles {
  readonly #folders: readonly string[]
  #read = 0

  constructor(folders: readonly string[]) {
    this.#folders = folders
  }

  /** Throws VALIDATE_SCHEMA_UNREADABLE, VALIDATE_SCHEMA_REFUSED. */
  read(path: string): Buffer {
    const real = realPath(path)
    const inside = (folder: string): boolean => real.startsWith(folder.endsWith(sep) ? folder : folder + sep)
    if (!this.#folders.some((folder) => inside(realPath(folder))))
      throw validateFault('VALIDATE_SCHEMA_REFUSED', { where: path })
    this.#read += 1
    if (this.#read > SCHEMA_FILES_MAX) {
      throw validateFault('VALIDATE_SCHEMA_INVALID', { where: path, why: `more than ${SCHEMA_FILES_MAX} files` })
    }
    try {
      const { size } = statSync(real)
      if (size > SCHEMA_BYTES_MAX) {
        throw validateFault('VALIDATE_SCHEMA_INVALID', {
          where: path,
          why: `${size} bytes`,
          limitBytes: SCHEMA_BYTES_MAX,
        })
      }
      return readFileSync(real)
    } catch (cause) {
      if (cause instanceof Fault) throw cause
      throw validateFault('VALIDATE_SCHEMA_UNREADABLE', { where: path, cause })
    }
  }
}

function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch (cause) {
    throw validateFault('VALIDATE_SCHEMA_UNREADABLE', { where: path, cause })
  }
}
