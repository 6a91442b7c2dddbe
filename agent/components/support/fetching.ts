// What may go wrong when large content is fetched from the hub.

import { Fault } from '#protocol/base/mod.ts'
import { componentFault } from '../faults.ts'

/** What is wrong here or on the way, not with the content: it is tried again. */
const PASSING = /^(?:TARGET_|DOWNLOAD_|CLIENT_CLOSED$|TRANSFERS_UNSUPPORTED$|INTERNAL$|SYSTEM_REFUSED$)/

/** The fault for which an item is refused; anything else is thrown on: errors of the system are those of our disk. */
export function fetchRefusal(error: unknown, where: string): Fault {
  if (!(error instanceof Fault)) throw error
  const details = { where, why: `${error.code}: ${error.message}`, cause: error, retry: true }
  if (error.code === 'TARGET_FULL') throw componentFault('DIRECTORY_FULL', details)
  if (PASSING.test(error.code)) throw componentFault('FILE_NOT_FETCHED', { ...details, todo: error.remedy })
  if (error.details.retry === true) throw error
  return error
}
