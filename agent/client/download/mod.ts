export { Download, type DownloadHost, type DownloadOptions, startDownload } from './download.ts'
export { indexPath, numberedName, type Overwrite } from './place.ts'
export type { Downloaded, DownloadProgress, DownloadState } from './progress.ts'
export { saveFile } from './save.ts'
