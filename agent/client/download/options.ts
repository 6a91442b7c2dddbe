// What a download is asked for with.

import type { PriorityName } from '../outgoing.ts'
import type { BytesPerSecond } from '../pace.ts'
import type { Overwrite } from './place.ts'
import type { DownloadProgress } from './progress.ts'

export type DownloadOptions = {
  /** 32 hexadecimal digits. */
  readonly id: string
  /** A folder, where the content gets its own name; with `as: 'file'` the path of the file. */
  readonly to: string
  readonly as?: 'folder' | 'file'
  /** The agent that must have sealed it. */
  readonly origin?: string
  /** Files here that may hold some of it: earlier versions. */
  readonly reuse?: readonly string[]
  /** When there is a file of the name with other content. Without it the new one becomes `name (2).ext`. */
  readonly overwrite?: Overwrite
  /**
   * Bytes a second on the line, below what the client allows all its downloads together; 0 for no limit, below 0 for nothing at this
   * time of day: a function is asked again and again.
   */
  readonly bytesPerSecondMax?: BytesPerSecond
  /** Among the downloads of this client, `normal` unless said: an urgent one gets nearly all of the line, a bulk one what is left. */
  readonly priority?: PriorityName
  /** Ends it as `cancel` does. */
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: DownloadProgress) => void
}
