// Channel `jsonata`.

export { JsonataChannel } from './channel.ts'
export { type JsonataSettings, jsonataSettings } from './settings.ts'
