// How often an upload link was used, as the HTTP port keeps it in DATA/http:
//
//   ID.json     an upload that was begun and whose message is not stored yet: its content, its link
//   uses/LINK   ids of the contents that came by a link with a bounded number of files, a line each

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMissing } from './files.ts'

const RECORD_FILE = /^([0-9a-f]{32})\.json$/

/** The content whose record a file is; `null`: it is another file. */
export const recordedContent = (name: string): string | null => RECORD_FILE.exec(name)?.[1] ?? null

export const usesPath = (folder: string, link: string): string => join(folder, 'uses', link)

/** Contents that came by it, and whose messages are stored. */
export function usesIn(folder: string, link: string): Set<string> {
  const text = readIfThere(usesPath(folder, link)) ?? ''
  return new Set(text.split('\n').filter(Boolean))
}

/** Files that came by it or are coming, of a hub that runs or does not. */
export function usedTimes(folder: string, link: string): number {
  const contents = usesIn(folder, link)
  for (const name of filesIn(folder)) {
    const content = recordedContent(name)
    const text = content === null ? null : readIfThere(join(folder, name))
    if (content !== null && text !== null && (JSON.parse(text) as { link?: unknown }).link === link)
      contents.add(content)
  }
  return contents.size
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}
