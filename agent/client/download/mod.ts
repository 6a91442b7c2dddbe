export {
  Download,
  type Downloaded,
  type DownloadHost,
  type DownloadOptions,
  type DownloadProgress,
  type DownloadState,
  startDownload,
} from './download.ts'
export type { Overwrite } from './place.ts'
