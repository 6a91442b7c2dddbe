// Channel `xquery`.

export { XqueryChannel } from './channel.ts'
export { type XquerySettings, xquerySettings } from './settings.ts'
