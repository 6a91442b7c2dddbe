// The formats by their names in the settings.

import { unreachable } from '#protocol/base/mod.ts'
import type { Encoding } from '../../formats/mod.ts'
import { fixedReader, fixedWriter } from './fixed.ts'
import { jsonReader, jsonWriter } from './json.ts'
import { csvReader, csvWriter, jsonlReader, jsonlWriter } from './lines.ts'
import type { DocumentReader, DocumentWriter } from './records.ts'
import type { ConvertSettings } from './settings.ts'
import { xlsxReader } from './xlsx/reader.ts'
import { xlsxWriter } from './xlsx/writer.ts'
import { xmlReader } from './xml-reader.ts'
import { xmlWriter } from './xml-writer.ts'

export type From = Exclude<ConvertSettings['from'], { type: 'rows' | 'text' }>
export type To = Exclude<ConvertSettings['to'], { type: 'rows' | 'text' }>

export function readerOf(from: From, bytesMax: number): DocumentReader {
  switch (from.type) {
    case 'csv':
      return csvReader(from.settings)
    case 'jsonl':
      return jsonlReader(from.settings)
    case 'json':
      return jsonReader(from.settings)
    case 'fixed':
      return fixedReader(from.settings)
    case 'xml':
      return xmlReader(from.settings)
    case 'xlsx':
      return xlsxReader(from.settings, bytesMax)
    default:
      return unreachable(from)
  }
}

export type Target = {
  /** The ending of a document's name. */
  readonly ending: string
  readonly mediaType: string
  /** A new document each time. */
  begin(): DocumentWriter
}

export function targetOf(to: To, bytesMax: number): Target {
  const text = (settings: { readonly encoding: Encoding; readonly bom: boolean }) => {
    const { encoding, bom } = settings
    return { encoding, bom, bytesMax }
  }
  switch (to.type) {
    case 'csv': {
      const { settings } = to
      const mediaType = withCharset('text/csv', settings.encoding)
      return { ending: '.csv', mediaType, begin: () => csvWriter(settings, text(settings)) }
    }
    case 'jsonl': {
      const { settings } = to
      const mediaType = withCharset('application/jsonl', settings.encoding)
      return { ending: '.jsonl', mediaType, begin: () => jsonlWriter(settings, text(settings)) }
    }
    case 'json': {
      const { settings } = to
      return { ending: '.json', mediaType: 'application/json', begin: () => jsonWriter(settings, text(settings)) }
    }
    case 'fixed': {
      const { settings } = to
      const mediaType = withCharset('text/plain', settings.encoding)
      return { ending: '.txt', mediaType, begin: () => fixedWriter(settings, text(settings)) }
    }
    case 'xml': {
      const { settings } = to
      return { ending: '.xml', mediaType: 'application/xml', begin: () => xmlWriter(settings, text(settings)) }
    }
    case 'xlsx': {
      const { settings } = to
      const mediaType = 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet'
      return { ending: '.xlsx', mediaType, begin: () => xlsxWriter(settings, bytesMax) }
    }
    default:
      return unreachable(to)
  }
}

/** XML and JSON say or fix their encoding themselves; of others UTF-8 is taken for granted. */
const withCharset = (mediaType: string, encoding: Encoding): string =>
  encoding === 'utf-8' ? mediaType : `${mediaType}; charset=${encoding}`
