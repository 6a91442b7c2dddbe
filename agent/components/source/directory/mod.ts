// Source `directory`.

export { DirectoryFilesSource } from './files.ts'
export { type DirectorySourceSettings, directorySourceSettings } from './settings.ts'
export { DirectorySource } from './source.ts'
