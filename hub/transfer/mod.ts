export {
  type ContentDetails,
  type ContentDiscarded,
  type ContentReport,
  type ContentState,
  ContentsAdmin,
  type ContentsFilter,
  type ContentsList,
  type MovementReport,
} from './admin.ts'
export { Contents, type ContentsOptions } from './contents.ts'
export { type DeskOptions, TransferDesk } from './desk.ts'
export { hubTransferFault } from './faults.ts'
export { BULK_QUEUED_BYTES_MAX } from './limits.ts'
export type { LiveContent } from './live.ts'
export type { Movement } from './movement.ts'
