// Channel `script`.

export { ScriptChannel } from './channel.ts'
export { type ScriptSettings, scriptSettings } from './settings.ts'
