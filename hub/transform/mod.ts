// What pipelines make of messages.

export { itemOf, type MadeMessage, messageOf, type Original } from './messages.ts'
export { type Passed, Pipeline, type PipelineOptions, type Use } from './pipelines.ts'
