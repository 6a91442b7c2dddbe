// Where things lie in a hub's data folder, and whether it is one.

import { statSync } from 'node:fs'
import { join } from 'node:path'
import { managementFault } from './faults.ts'

export const configPath = (dataDir: string): string => join(dataDir, 'hub.yaml')
export const securityPath = (dataDir: string): string => join(dataDir, 'security')

/**
 * Faults: `DATA_FOLDER_MISSING`. That a folder may not be looked into is another thing than that it is not there: then
 * the system's own error is thrown.
 */
export function checkDataFolder(dataDir: string): void {
  if (!isThere(configPath(dataDir))) throw managementFault('DATA_FOLDER_MISSING', { where: dataDir })
}

/** Throws what the system says when it may not be known. */
export function isThere(path: string): boolean {
  try {
    statSync(path)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return false
    throw error
  }
}
