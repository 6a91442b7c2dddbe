// Refused items that no source knows, because a channel made them of what it had kept: they are set aside in the flow's own folder,
// one line each in channels-rejected.jsonl, their documents beside it.

import { createHash } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Content, Reject } from '../components/contract.ts'
import { type RejectEntry, RejectFile, reasonOf, replaceFile } from '../components/support/mod.ts'

/** Durable when it resolves. A repeat adds nothing. */
export async function rejectOwn(dataDir: string, rejects: readonly Reject[]): Promise<void> {
  const entries: RejectEntry[] = []
  for (const reject of rejects) {
    const { item, fault } = reject
    const file = await keep(dataDir, item.content)
    const entry = { ref: item.ref, code: fault.code, reason: reasonOf(reject), row: item.row }
    entries.push(file === null ? entry : { ...entry, file })
  }
  const file = await RejectFile.open(join(dataDir, 'channels-rejected.jsonl'))
  try {
    await file.append(entries)
  } finally {
    await file.close()
  }
}

/** The document in a file of its own. What is not in memory stays where it is. */
async function keep(dataDir: string, content: Content | undefined): Promise<string | null> {
  if (content === undefined) return null
  if (content.kind === 'local') return content.path
  if (content.kind === 'hub') return `content ${content.id} at the hub`
  const folder = join(dataDir, 'channels-rejected')
  await mkdir(folder, { recursive: true })
  const path = join(folder, createHash('sha256').update(content.bytes).digest('hex').slice(0, 32))
  await replaceFile(path, content.bytes)
  return path
}
