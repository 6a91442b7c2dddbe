// Destination `directory`.

export { DirectoryDestination } from './destination.ts'
export { type DirectoryDestinationSettings, directoryDestinationSettings } from './settings.ts'
