export { loadIdentity } from '#agent/identity/mod.ts'
export { parseAddress } from './address.ts'
export { Client, type ClientOptions, type Credit } from './client.ts'
export { contentsOf, fileNameOf, type ReceiveContentsOptions, saveBody } from './contents.ts'
export { Delivery, type RetryOptions } from './delivery.ts'
export type { Dial, Dialled, DialOptions } from './dial.ts'
export { Download, type Downloaded, type DownloadOptions, type DownloadProgress } from './download/mod.ts'
export { enroll } from './enroll.ts'
export { clientFault } from './faults.ts'
export type { OutgoingMessage, PriorityName } from './outgoing.ts'
export type { BytesPerSecond } from './pace.ts'
export type { SubscriptionPolicy } from './policy.ts'
export { type Published, Publisher, type PublisherOptions } from './publisher.ts'
export { Receipt, type ReceiptFacts, ReceiptFeed, type ReceiptState } from './receipts.ts'
export type { RequestOptions } from './requests.ts'
export { type BatchStore, type SenderEvents, StreamSender } from './sender.ts'
export { type ReplayFrom, type SubscribeOptions, Subscription } from './subscription.ts'
export type { Direction, TransferLimits, TransferReport, TransferWish, TransferWishes } from './transfers.ts'
export {
  type CompressWish,
  isCompressWish,
  Upload,
  type UploadOptions,
  type UploadProgress,
  type UploadState,
} from './upload/mod.ts'
