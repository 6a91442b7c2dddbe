// What can go wrong at the HTTP port, and which status of HTTP says so.

import { declareFaults, type Fault } from '#protocol/base/mod.ts'

export const httpFault = declareFaults('http', {
  HTTP_LISTEN_FAILED: {
    meaning: 'the hub cannot listen on its HTTP port',
    remedy: 'Choose another listen.http.port in hub.yaml, or stop the program that uses it',
  },
  HTTP_CERTIFICATE_INVALID: {
    meaning: 'the certificate or key of the HTTP port cannot be used',
    remedy: 'Name PEM files that belong together as listen.http.certificate and key in hub.yaml',
  },
  HTTP_NOT_FOUND: {
    meaning: 'there is nothing at this address',
    remedy: 'Copy the whole address of the link',
  },
  HTTP_METHOD: {
    meaning: 'that cannot be done with this address',
    remedy: 'Open it in a browser, or with a client that speaks tus 1.0.0',
  },
  HTTP_BUSY: {
    meaning: 'the hub is answering as many requests as it may at once',
    remedy: 'Try again in a minute',
  },
  UPLOAD_UNKNOWN: {
    meaning: 'the hub does not know this upload any more',
    remedy: 'Begin again with the link',
  },
  UPLOAD_BUSY: {
    meaning: 'the upload is going on in another connection',
    remedy: 'Wait for it, or stop it there: then go on here',
  },
  UPLOAD_LINK_USED: {
    meaning: 'as many files came by this link as it allows',
    remedy: 'Ask whoever gave it to you for another link',
  },
  UPLOADS_TOO_MANY: {
    meaning: 'as many uploads are begun and not finished as may be',
    remedy: 'Finish or cancel one of them, or wait until it expires',
  },
  UPLOAD_MEDIA_TYPE: {
    meaning: 'the type of the file cannot be one',
    remedy: 'Leave filetype out of Upload-Metadata, or give one such as application/pdf',
  },
  UPLOAD_TOO_LARGE: {
    meaning: 'the file has more bytes than the link, the hub or the upload takes',
    remedy: 'Split the file, or ask whoever gave you the link',
  },
  UPLOAD_REFUSED: {
    meaning: 'the request does not fit the upload',
    remedy: 'Ask for the state of the upload with HEAD, and go on from its Upload-Offset',
  },
})

const STATUSES: Readonly<Record<string, number>> = {
  CONTENT_NAME_INVALID: 400,
  UPLOAD_MEDIA_TYPE: 400,
  LINK_INVALID: 403,
  HTTP_NOT_FOUND: 404,
  UPLOAD_UNKNOWN: 404,
  CONTENT_ABSENT: 404,
  HTTP_METHOD: 405,
  CONTENT_CONFLICT: 409,
  CONTENT_FOREIGN: 409,
  CONTENT_EXPIRED: 410,
  LINK_EXPIRED: 410,
  LINK_REVOKED: 410,
  UPLOAD_LINK_USED: 410,
  UPLOAD_TOO_LARGE: 413,
  TRANSFER_TOO_LARGE: 413,
  CONTENT_TOO_LARGE: 413,
  CONTENT_BUSY: 423,
  UPLOAD_BUSY: 423,
  CONTENT_DAMAGED: 503,
  HTTP_BUSY: 503,
  UPLOADS_TOO_MANY: 503,
  TRANSFERS_TOO_MANY: 503,
  STORE_IO: 503,
  CONTENT_NO_ROOM: 507,
  STORE_FULL: 507,
}

/** Seconds after which it is worth to try again, by status. */
const RETRY_SECONDS: Readonly<Record<number, string>> = { 423: '3', 503: '10', 507: '60' }

/** Worth telling a stranger: of what goes on inside the hub only the code. */
export type Told = { readonly status: number; readonly body: string; readonly retryAfter: string | null }

export function toldOf(fault: Fault, status = STATUSES[fault.code] ?? 500): Told {
  const retryAfter = RETRY_SECONDS[status] ?? null
  const inside = {
    code: fault.code,
    message: 'the hub cannot do it now',
    remedy: 'Try again later, or tell who runs it',
  }
  const { code, message, remedy } = status >= 500 ? inside : fault
  return { status, body: `${JSON.stringify({ code, message, remedy })}\n`, retryAfter }
}
