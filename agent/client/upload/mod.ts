export type { UploadHost } from './attempt.ts'
export { type CompressWish, isCompressWish } from './compression.ts'
export type { UploadProgress, UploadState } from './progress.ts'
export { Upload, type UploadOptions } from './upload.ts'
