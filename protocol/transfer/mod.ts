export { ChunkList, type Plan } from './chunk-list.ts'
export { decodeChunk, decodeChunkInBackground, encodeChunk } from './coding.ts'
export { type CutSizes, Cutter, cutSizesFor } from './cut.ts'
export { type ChunkData, dataFrameStart, parseChunkData } from './data.ts'
export { transferFault } from './faults.ts'
export { type Arrived, Incoming, type Part, runsOf } from './incoming.ts'
export * from './limits.ts'
export {
  checkAgainst,
  type Manifest,
  parseManifest,
  type SealedManifest,
  sealManifest,
  verifyManifest,
} from './manifest.ts'
export { checkName, nameProblem } from './names.ts'
export { Outgoing, type Piece } from './outgoing.ts'
export { checkPlan, chunkBytesFor } from './plan.ts'
export { IN_A_MOMENT, priorityInWant, priorityOfWant, Turns, transferPriority } from './turns.ts'
