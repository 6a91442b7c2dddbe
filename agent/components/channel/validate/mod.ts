// Channel `validate`.

export { ValidateChannel, validateTurns } from './channel.ts'
export { type ValidateSettings, validateSettings } from './settings.ts'
