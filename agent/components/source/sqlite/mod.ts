// Source `sqlite`.

export { type SqliteSourceSettings, sqliteSourceSettings } from './settings.ts'
export { SqliteSource } from './source.ts'
