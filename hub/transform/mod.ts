// What pipelines make of messages.

export { type DocumentSession, Documents, type DocumentsOptions } from './documents.ts'
export { type ContentOf, contentIn, itemOf, type MadeMessage, messageOf, type Original } from './messages.ts'
export { PipelineBook, type PipelineWanted } from './pipeline-book.ts'
export { type Passed, Pipeline, type PipelineOptions, type Use } from './pipelines.ts'
