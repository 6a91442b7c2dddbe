export * from './attributes.ts'
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
export { BatchBuilder, type Compression, type Receipts, type SealOptions } from './builder.ts'
export * from './envelope.ts'
export { type Extract, extractFrom, openExtract } from './extract.ts'
export { type BatchHead, FLAG_RECEIPT_DELIVERED, FLAG_RECEIPT_FINAL, keyIdIn, parseHead } from './head.ts'
export { type Headers, type HeaderValue, NO_HEADERS } from './headers.ts'
export * from './limits.ts'
export { patternCovers, patternProblem, TopicTree, topicMatches } from './topics.ts'
