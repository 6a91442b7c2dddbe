export { Contents, type ContentsOptions } from './contents.ts'
export { type DeskOptions, TransferDesk } from './desk.ts'
export { hubTransferFault } from './faults.ts'
export { BULK_QUEUED_BYTES_MAX } from './limits.ts'
