// Channel `convert`: documents into rows, rows into documents, documents into documents of another format or encoding.
//
// Documents are read record by record and written record by record: in memory are the document that comes, the one that is made, one
// batch of records between them (of XML and workbooks the tree, some eight times the text; of documents that become rows all rows,
// at most `recordsMax`).

import type { Carries, Channel, ComponentContext } from '../../contract.ts'
import { documentTurns } from '../../document.ts'
import { DocumentChannel } from './document-channel.ts'
import { convertFault } from './faults.ts'
import { GatheringChannel, RowsChannel } from './row-channels.ts'
import type { ConvertSettings } from './settings.ts'
import { TextChannel } from './text-channel.ts'

export function convertChannel(settings: ConvertSettings, _context: ComponentContext): Channel {
  const { from, to } = settings
  if (from.type === 'text' || to.type === 'text') {
    // The settings' own check lets them only come together.
    return new TextChannel(settings, { from: from.settings as never, to: to.settings as never })
  }
  if (from.type === 'rows') return to.type === 'rows' ? new RowsChannel(settings) : new GatheringChannel(settings, to)
  return new DocumentChannel(settings, { from, to: to.type === 'rows' ? null : to })
}

export function convertTurns({ from, to, field }: ConvertSettings, given: Carries): Carries {
  if (from.type !== 'rows') {
    const turned = documentTurns({ field }, given)
    return to.type === 'rows' ? 'rows' : turned
  }
  if (to.type === 'rows') return given
  if (given === 'files') throw convertFault('CONVERT_FILE_GIVEN', { why: 'files come here' })
  return field === undefined ? 'files' : 'rows'
}

/**
 * What others wrote is parsed in a thread. Not where it costs more than it guards: rows are parsed already, and records that are
 * refused one by one need the place that only a channel here has.
 */
export const convertIsolated = ({ from, onBroken }: ConvertSettings): boolean =>
  from.type !== 'rows' && onBroken === 'reject-document'
