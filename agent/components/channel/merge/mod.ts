// Channel `merge`.

export { MergeChannel, mergeTurns } from './channel.ts'
export { type MergeSettings, mergeSettings } from './settings.ts'
