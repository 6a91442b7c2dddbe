// Channel `xslt`.

export { XsltChannel } from './channel.ts'
export type { Parameters, Stylesheet, StylesheetSource, XsltEngine } from './engine.ts'
export { xsltFault } from './faults.ts'
export { saxonEngine } from './saxon.ts'
export { type XsltSettings, xsltSettings } from './settings.ts'
