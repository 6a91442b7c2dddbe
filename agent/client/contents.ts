// Messages that are files. A large content is at the hub (claim check): the message says which, and each is fetched by its id. A small
// file is the body of its message.

import { attributesOf, HEADER_FILE, type MessageView } from '#protocol/codec/mod.ts'
import { type Downloaded, type DownloadHost, type DownloadOptions, saveFile, startDownload } from './download/mod.ts'
import { PRIORITY_NAMES, type PriorityName } from './outgoing.ts'

/** As of a download; `to` is a folder, since there may be several. They are as urgent as the message unless said otherwise. */
export type ReceiveContentsOptions = Omit<DownloadOptions, 'id' | 'as'>

/** Ids of the contents a message refers to, as its sender lists them; mostly none. Faults: `ATTRIBUTE_INVALID`. */
export const contentsOf = ({ envelope }: MessageView): readonly string[] => attributesOf(envelope.headers).contents

const priorityOfMessage = ({ envelope }: MessageView): PriorityName =>
  PRIORITY_NAMES[attributesOf(envelope.headers).priority] as PriorityName

/** Fetches them one after the other. Those that are here already are not fetched again. Faults: as `Download.done`. */
export async function receiveContents(
  host: DownloadHost,
  message: MessageView,
  options: ReceiveContentsOptions,
): Promise<Downloaded[]> {
  const out: Downloaded[] = []
  const priority = priorityOfMessage(message)
  for (const id of new Set(contentsOf(message))) out.push(await startDownload({ priority, ...options, id }, host).done)
  return out
}

/** The name of the file that a message is, without the folders it comes from (`:file`); `null` for other messages. */
export function fileNameOf({ envelope }: MessageView): string | null {
  const path = envelope.headers[HEADER_FILE]
  return typeof path === 'string' ? path.slice(path.lastIndexOf('/') + 1) : null
}

/** Puts the body of a message into a folder as the file it is. Gives the path; `null` when it is none. Faults: as `saveFile`. */
export async function saveBody(message: MessageView, to: string): Promise<string | null> {
  const name = fileNameOf(message)
  return name === null || contentsOf(message).length > 0 ? null : await saveFile({ to, name, bytes: message.body })
}
