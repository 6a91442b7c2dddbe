// The components a flow file can name, as one explicit list. The runtime adds those that need its own services (`hub`).

import type { Field } from '#protocol/fields/mod.ts'
import { CompressChannel, compressSettings } from './channel/compress/mod.ts'
import { convertChannel, convertIsolated, convertSettings, convertTurns } from './channel/convert/mod.ts'
import { DecompressChannel, decompressSettings } from './channel/decompress/mod.ts'
import { DeduplicateChannel, deduplicateSettings } from './channel/deduplicate/mod.ts'
import { EncodeChannel, encodeSettings } from './channel/encode/mod.ts'
import { EnrichChannel, enrichSettings } from './channel/enrich/mod.ts'
import { EnvelopeChannel, envelopeSettings } from './channel/envelope/mod.ts'
import { filterChannel, filterSettings } from './channel/filter/mod.ts'
import { JsonataChannel, jsonataSettings } from './channel/jsonata/mod.ts'
import { MapChannel, mapSettings } from './channel/map/mod.ts'
import { MappingChannel, mappingSettings, mappingTurns } from './channel/mapping/mod.ts'
import { MergeChannel, mergeSettings, mergeTurns } from './channel/merge/mod.ts'
import { ScriptChannel, scriptSettings } from './channel/script/mod.ts'
import { isSplitIsolated, SplitChannel, splitSettings, splitTurns } from './channel/split/mod.ts'
import { ThrottleChannel, throttleSettings } from './channel/throttle/mod.ts'
import { ValidateChannel, validateSettings, validateTurns } from './channel/validate/mod.ts'
import { XqueryChannel, xquerySettings } from './channel/xquery/mod.ts'
import { XsltChannel, xsltSettings } from './channel/xslt/mod.ts'
import type { Carries, Channel, ComponentContext, ComponentKind, Destination, Source } from './contract.ts'
import {
  DirectoryDestination,
  DirectoryFilesDestination,
  directoryDestinationSettings,
} from './destination/directory/mod.ts'
import { SqliteDestination, sqliteDestinationSettings } from './destination/sqlite/mod.ts'
import { documentTurns } from './document.ts'
import { DirectoryFilesSource, DirectorySource, directorySourceSettings } from './source/directory/mod.ts'
import { SqliteSource, sqliteSourceSettings } from './source/sqlite/mod.ts'

export type Component = { readonly source: Source; readonly channel: Channel; readonly destination: Destination }

/**
 * One entry. `create` neither reads nor writes anything (that is `open`'s part), so `flow lint` may call it; it throws what the
 * settings alone show to be wrong, such as EXPRESSION_SYNTAX. `settings` must be the value the entry's own spec parsed.
 */
export type ComponentEntry<K extends ComponentKind = ComponentKind> = {
  readonly [Kind in K]: {
    readonly kind: Kind
    readonly type: string
    readonly doc: string
    readonly settings: Field
    /** Of sources and destinations; `rows` when left out. */
    carries?(settings: unknown): Carries
    /** Of channels: what comes out when `given` goes in; the same when left out. Throws what cannot go in, as a fault. */
    turns?(settings: unknown, given: Carries): Carries
    /**
     * Of channels: evaluates what others wrote, on what others sent, at least with some settings. It runs in a thread with bounds
     * on its time and memory. See `isIsolated`.
     */
    readonly isolated?: true | ((settings: unknown) => boolean)
    create(settings: unknown, context: ComponentContext): Component[Kind]
  }
}[K]

/** Ties an entry's spec to its constructor, then forgets the settings' type: a registry holds many. */
export function defineComponent<K extends ComponentKind, S>(entry: {
  readonly kind: K
  readonly type: string
  readonly doc: string
  readonly settings: Field<S>
  readonly carries?: (settings: S) => Carries
  readonly turns?: (settings: S, given: Carries) => Carries
  readonly isolated?: true | ((settings: S) => boolean)
  readonly create: (settings: S, context: ComponentContext) => Component[K]
}): ComponentEntry<K> {
  return entry as unknown as ComponentEntry<K>
}

/** Whether a channel with these settings runs in a thread. */
export function isIsolated(entry: ComponentEntry, settings: unknown): boolean {
  return typeof entry.isolated === 'function' ? entry.isolated(settings) : entry.isolated === true
}

export const builtinComponents: readonly ComponentEntry[] = [
  defineComponent({
    kind: 'source',
    type: 'sqlite',
    doc: 'Rows of an SQLite table, view or query, in the order of a key or a watermark; resumes at any row',
    settings: sqliteSourceSettings,
    create: (settings, context) => new SqliteSource(settings, context),
  }),
  defineComponent({
    kind: 'source',
    type: 'directory',
    doc: 'Files dropped in a folder, whole or row by row (CSV, JSON Lines); what is broken goes to bad/, finished files to done/',
    settings: directorySourceSettings,
    carries: ({ format }) => (format === 'file' ? 'files' : 'rows'),
    create: (settings, context) =>
      settings.format === 'file' ? new DirectoryFilesSource(settings, context) : new DirectorySource(settings, context),
  }),
  defineComponent({
    kind: 'channel',
    type: 'map',
    doc: 'Gives rows other fields: keep, drop, rename, constants, JSONata expressions',
    settings: mapSettings,
    create: (settings, context) => new MapChannel(settings, context),
  }),
  defineComponent({
    kind: 'channel',
    type: 'filter',
    doc: 'Lets items pass of which a condition is true: on the row (JSONata) or the document (XPath, JSONata, JSON Pointer)',
    settings: filterSettings,
    isolated: ({ when }) => when !== undefined,
    create: filterChannel,
  }),
  defineComponent({
    kind: 'channel',
    type: 'jsonata',
    doc: 'Rows or JSON documents by a JSONata expression; a list makes several of one',
    settings: jsonataSettings,
    isolated: true,
    create: (settings, context) => new JsonataChannel(settings, context),
  }),
  defineComponent({
    kind: 'channel',
    type: 'encode',
    doc: 'Bytes as text and back: base64, hex, quoted-printable, percent',
    settings: encodeSettings,
    turns: documentTurns,
    create: (settings, context) => new EncodeChannel(settings, context),
  }),
  defineComponent({
    kind: 'channel',
    type: 'split',
    doc: 'Makes many items of one: records of a document, members of an archive, elements of a list',
    settings: splitSettings,
    turns: splitTurns,
    isolated: isSplitIsolated,
    create: (settings, context) => new SplitChannel(settings, context),
  }),
  defineComponent({
    kind: 'channel',
    type: 'merge',
    doc: 'Makes one item of many that belong together, by key, count and time; what waits survives a restart',
    settings: mergeSettings,
    turns: mergeTurns,
    create: (settings, context) => new MergeChannel(settings, context),
  }),
  defineComponent({
    kind: 'channel',
    type: 'enrich',
    doc: 'Puts what a look-up table or an SQLite database knows of a row into it',
    settings: enrichSettings,
    create: (settings, context) => new EnrichChannel(settings, context),
  }),
  defineComponent({
    kind: 'channel',
    type: 'deduplicate',
    doc: 'Lets each item pass once, by key fields or content; what it has seen survives a restart',
    settings: deduplicateSettings,
    create: (settings, context) => new DeduplicateChannel(settings, context),
  }),
  defineComponent({
    kind: 'channel',
    type: 'throttle',
    doc: 'Lets items pass at a rate, in items or bytes',
    settings: throttleSettings,
    create: (settings, context) => new ThrottleChannel(settings, context),
  }),
  defineComponent({
    kind: 'channel',
    type: 'compress',
    doc: 'Documents as gzip, zstd, zip or deflate; several files of a row as one zip',
    settings: compressSettings,
    turns: (settings, given) => (settings.entries === undefined ? documentTurns(settings, given) : 'files'),
    create: (settings, context) => new CompressChannel(settings, context),
  }),
  defineComponent({
    kind: 'channel',
    type: 'decompress',
    doc: 'What gzip, zstd, zip or deflate hold, within bounds on size and ratio; of a zip each file',
    settings: decompressSettings,
    turns: (settings, given) => {
      const turned = documentTurns(settings, given)
      return settings.entries === undefined ? turned : 'rows'
    },
    create: (settings, context) => new DecompressChannel(settings, context),
  }),
  defineComponent({
    kind: 'channel',
    type: 'convert',
    doc: 'Documents into rows, rows into documents, documents into another format: XML, JSON, JSON Lines, CSV, fixed width, xlsx, text',
    settings: convertSettings,
    turns: convertTurns,
    isolated: convertIsolated,
    create: convertChannel,
  }),
  defineComponent({
    kind: 'channel',
    type: 'mapping',
    doc: 'XML documents or rows by a declarative mapping: source tree to target tree, functions, code tables, conditions, sorting',
    settings: mappingSettings,
    turns: mappingTurns,
    create: (settings, context) => new MappingChannel(settings, context),
  }),
  defineComponent({
    kind: 'channel',
    type: 'xslt',
    doc: 'XML documents by a stylesheet (XSLT 1.0 to 3.0) that sees nothing but the document and its parameters',
    settings: xsltSettings,
    turns: documentTurns,
    isolated: true,
    create: (settings, context) => new XsltChannel(settings, context),
  }),
  defineComponent({
    kind: 'channel',
    type: 'validate',
    doc: 'Rejects XML documents that are not as an XML schema says, JSON documents and rows that are not as a JSON Schema says',
    settings: validateSettings,
    turns: validateTurns,
    isolated: true,
    create: (settings, context) => new ValidateChannel(settings, context),
  }),
  defineComponent({
    kind: 'channel',
    type: 'xquery',
    doc: 'XML documents by a query (XQuery 3.1) that sees nothing but the document and its parameters',
    settings: xquerySettings,
    turns: documentTurns,
    isolated: true,
    create: (settings, context) => new XqueryChannel(settings, context),
  }),
  defineComponent({
    kind: 'channel',
    type: 'envelope',
    doc: 'MIME multipart, web forms, SOAP 1.1 and 1.2, SOAP with attachments, MTOM/XOP: put around documents, or taken off',
    settings: envelopeSettings,
    turns: documentTurns,
    create: (settings, context) => new EnvelopeChannel(settings, context),
  }),
  defineComponent({
    kind: 'channel',
    type: 'script',
    doc: 'Items by JavaScript in an engine without access to the machine, within bounds',
    settings: scriptSettings,
    isolated: true,
    create: (settings, context) => new ScriptChannel(settings, context),
  }),
  defineComponent({
    kind: 'destination',
    type: 'sqlite',
    doc: 'Inserts or updates rows of an SQLite table by key; the position commits with the rows',
    settings: sqliteDestinationSettings,
    create: (settings, context) => new SqliteDestination(settings, context),
  }),
  defineComponent({
    kind: 'destination',
    type: 'directory',
    doc: 'Writes files into a folder, whole or not at all: those it is given, or each portion of rows as one (CSV, JSON Lines)',
    settings: directoryDestinationSettings,
    carries: ({ format }) => (format === 'file' ? 'files' : 'rows'),
    create: (settings, context) =>
      settings.format === 'file'
        ? new DirectoryFilesDestination(settings, context)
        : new DirectoryDestination(settings, context),
  }),
]
