// Destination `sqlite`.

export { SqliteDestination } from './destination.ts'
export { type SqliteDestinationSettings, sqliteDestinationSettings } from './settings.ts'
