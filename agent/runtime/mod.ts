// Runs flows: flow files, supervision, backoff, shutdown.

export { FlowDocuments } from './documents.ts'
export {
  type FlowComponents,
  type FlowState,
  type FlowStatus,
  type RunFlowOptions,
  type RunnableFlow,
  runFlow,
} from './flow.ts'
export { type FlowComponent, type FlowFile, type FlowRegistry, type FlowRetry, parseFlowFile } from './flow-file.ts'
export { rejectOwn } from './own-rejects.ts'
export { type StartFlowOptions, Supervisor, type SupervisorOptions } from './supervisor.ts'
