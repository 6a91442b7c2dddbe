export type { Chunk } from './adding.ts'
export { type ContentsProgress, type ContentsReport, checkContents, type DamagedPart } from './check.ts'
export type { StoredChunk } from './chunks.ts'
export {
  type ContentId,
  type ContentInfo,
  ContentStore,
  type ContentStoreOptions,
  type ContentView,
  type Part,
} from './content-store.ts'
