// Channel `split`.

export { SplitChannel, splitTurns } from './channel.ts'
export { isSplitIsolated, type SplitSettings, splitSettings } from './settings.ts'
