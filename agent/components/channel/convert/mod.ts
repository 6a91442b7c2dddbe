// Channel `convert`.

export { convertChannel, convertIsolated, convertTurns } from './channel.ts'
export { type ConvertSettings, convertSettings } from './settings.ts'
