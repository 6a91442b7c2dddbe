export {
  Batch,
  type BatchIndex,
  type MessageView,
  openBatch,
  Payload,
  parseRecord,
  type Run,
  verifyHead,
} from './batch.ts'
export { BatchBuilder, type Compression, type SealOptions } from './builder.ts'
export * from './envelope.ts'
export { type Extract, extractFrom, openExtract } from './extract.ts'
export { type BatchHead, keyIdIn, parseHead } from './head.ts'
export * from './limits.ts'
export { patternCovers, patternProblem, TopicTree, topicMatches } from './topics.ts'
