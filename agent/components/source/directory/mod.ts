// Source `directory`.

export { type DirectorySourceSettings, directorySourceSettings } from './settings.ts'
export { DirectorySource } from './source.ts'
