// What several commands share.

import { type HubConfig, loadHubConfig } from '#hub/config/mod.ts'
import type { Fault } from '#protocol/base/mod.ts'
import { EXIT_FAILED, EXIT_OK, EXIT_USAGE, f, faultsText } from '#protocol/fields/mod.ts'
import type { AdminRequest } from '../admin.ts'
import { askHub, HubFaults, type OnProgress } from '../contact.ts'
import { checkDataFolder, configPath } from '../folder.ts'
import { messages as messagesText } from '../show.ts'

export const data = f.text({ doc: "the hub's data folder", maxLength: 4096, default: './hub-data' })
export const json = f.boolean({ doc: 'print JSON for machines', default: false })
export const agentName = f.text({
  doc: 'name of the agent',
  pattern: /^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/,
  example: 'tax-office',
})

/** The configuration of a data folder, or what is wrong with it (already worded). */
export async function configOf(dataDir: string, asJson: boolean): Promise<HubConfig | null> {
  checkDataFolder(dataDir)
  const loaded = await loadHubConfig(configPath(dataDir))
  if (loaded.ok) return loaded.value
  console.error(faultsText(loaded.fault, { json: asJson }))
  return null
}

/**
 * Asks the running hub, shows the answer, gives the exit code. What takes long is told on standard error each second. `T`
 * is what the hub answers to that command.
 */
export async function ask<T>(
  settings: { readonly data: string; readonly json: boolean },
  request: AdminRequest,
  show: (answer: T) => readonly string[],
): Promise<number> {
  const onProgress: OnProgress = ({ messages, seconds }) => {
    if (!settings.json) console.error(`${messagesText(messages)} in ${seconds} s …`)
  }
  try {
    const answer = await askHub<T>(settings.data, request, onProgress)
    console.log(settings.json ? JSON.stringify(answer) : show(answer).join('\n'))
    return EXIT_OK
  } catch (error) {
    if (!(error instanceof HubFaults)) throw error
    console.error(faultsText(error.faults, settings))
    return error.usage ? EXIT_USAGE : EXIT_FAILED
  }
}

/** Tells how the command should have been called. */
export function misused(fault: Fault, settings: { readonly json: boolean }): number {
  console.error(faultsText([fault], settings))
  return EXIT_USAGE
}
