// Destination `directory`.

export { DirectoryDestination } from './destination.ts'
export { DirectoryFilesDestination } from './files.ts'
export { type DirectoryDestinationSettings, directoryDestinationSettings } from './settings.ts'
