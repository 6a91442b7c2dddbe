// Source `directory`: rows of the files dropped in a folder, each file in order of its name, once.
//
// A file is taken when it has rested for `stableMs` (by our own clock: a share's may be wrong), claimed by rename, read
// record by record in constant memory, and moved to done/ when the destination has committed its last row. A row that cannot
// be read, and a row that a channel or the destination refuses, goes to bad/<name>.rows.jsonl with its line number, reason and
// original text; a file that cannot be read at all goes to bad/ with bad/<name>.reason.txt. Nothing in done/ or bad/ is ever
// overwritten. The position is (file, byte, line): after a crash reading goes on at the very record.

import { type FileHandle, open } from 'node:fs/promises'
import { Fault } from '#protocol/base/mod.ts'
import type { ComponentContext, Cursor, Item, Portion, Reject, Source } from '../../contract.ts'
import { componentFault } from '../../faults.ts'
import { type RecordFormat, RecordReader, type Records } from '../../formats/mod.ts'
import {
  boundedText,
  csvOptions,
  errorCode,
  fileFault,
  type RejectEntry,
  RejectFile,
  reasonOf,
} from '../../support/mod.ts'
import { DropScan } from './drop-scan.ts'
import { type Claimed, DropFolder, pathOf, rowsPathOf } from './folder.ts'
import { decodePosition, encodePosition, type Position } from './position.ts'
import { fileReasonText } from './reason.ts'
import type { DirectorySourceSettings } from './settings.ts'

/** A file being read, or read and not yet committed: kept open so that refused rows can be quoted from it. */
type OpenFile = {
  readonly claimed: Claimed
  /** Stands before the line in a row's `ref`. */
  readonly label: string
  readonly handle: FileHandle
  readonly reader: RecordReader
  readonly sizeBytes: number
  readonly changedMs: number
  rejects: RejectFile | null
  rows: number
  /** What was handed on and may still be refused, oldest first. */
  readonly portions: { readonly cursor: Cursor; readonly records: Records }[]
}

export class DirectorySource implements Source {
  readonly #settings: DirectorySourceSettings
  readonly #context: ComponentContext
  readonly #path: string
  readonly #format: RecordFormat
  #folder: DropFolder | null = null
  readonly #scan: DropScan
  /** Claimed and not yet read, oldest first. */
  #queue: Claimed[] = []
  /** Read to some point and not yet settled, oldest first; the last one is being read unless `#reading` is null. */
  #files: OpenFile[] = []
  #reading: OpenFile | null = null
  /** Condemned before a row was read; settled when the position passes them. */
  #condemned: Claimed[] = []
  /** Condemned just now: a portion without rows must move the position past it. */
  #passing: Claimed | null = null
  #resume: Position | null = null
  /** Put aside since the last portion. */
  #brokenRows = 0
  #ended = false

  constructor(settings: DirectorySourceSettings, context: ComponentContext) {
    this.#settings = settings
    this.#context = context
    this.#path = context.resolvePath(settings.path)
    this.#scan = new DropScan(this.#path, settings, context)
    this.#format = {
      kind: settings.format === 'jsonl' ? 'jsonl' : 'csv',
      encoding: settings.encoding,
      csv: csvOptions(settings),
      header: settings.header,
      columns: settings.columns ?? null,
    }
  }

  async open(position: Cursor | null): Promise<void> {
    const resume = position === null ? null : decodePosition(position)
    try {
      this.#folder = await DropFolder.open(this.#path, {
        dataDir: this.#context.dataDir,
        scan: this.#scan,
        knownOwner: resume?.owner ?? null,
      })
      if (resume !== null && resume.owner !== this.#folder.owner) {
        throw componentFault('DIRECTORY_POSITION_FOREIGN', { where: this.#path })
      }
      await this.#restore(this.#folder, resume)
    } catch (error) {
      throw fileFault(error, this.#path)
    }
    this.#scan.begin()
  }

  async next(signal: AbortSignal): Promise<Portion | null> {
    try {
      while (!signal.aborted) {
        this.#reading ??= await this.#begin()
        const portion = this.#reading === null ? null : await this.#read(this.#reading)
        if (portion !== null) return portion
        if (this.#passing !== null) return this.#pass(this.#passing)
        if (this.#reading === null) return null
      }
      return null
    } catch (error) {
      this.#scan.lookAgain()
      throw fileFault(error, this.#path)
    }
  }

  ended(): boolean {
    return this.#ended
  }

  idle(signal: AbortSignal): Promise<void> {
    return this.#scan.idle(signal)
  }

  async reject(rejects: readonly Reject[]): Promise<void> {
    try {
      const byFile = new Map<OpenFile, RejectEntry[]>()
      for (const reject of rejects) {
        const { file, entry } = await this.#entryOf(reject)
        const entries = byFile.get(file)
        if (entries === undefined) byFile.set(file, [entry])
        else entries.push(entry)
      }
      for (const [file, entries] of byFile) await this.#setAside(file, entries)
    } catch (error) {
      throw fileFault(error, this.#path)
    }
  }

  async committed(cursor: Cursor): Promise<void> {
    const position = decodePosition(cursor)
    const passed = (seq: number): boolean => seq < position.seq || (seq === position.seq && position.end)
    try {
      for (const file of this.#files.filter((each) => passed(each.claimed.seq))) {
        // Forgotten last: after a failure the flow tells us the same cursor again.
        await closeFile(file)
        await this.#folder?.settle(file.claimed)
        this.#files = this.#files.filter((each) => each !== file)
      }
      for (const claimed of this.#condemned.filter((each) => passed(each.seq))) {
        await this.#folder?.settle(claimed)
        this.#condemned = this.#condemned.filter((each) => each !== claimed)
      }
      for (const file of this.#files) {
        const done = file.portions.findIndex((portion) => portion.cursor === cursor)
        file.portions.splice(0, done + 1)
        if (file.portions.length === 0) file.rejects?.forget()
      }
    } catch (error) {
      throw fileFault(error, this.#path)
    }
  }

  async close(): Promise<void> {
    await this.#scan.close()
    const files = this.#files
    this.#files = []
    this.#reading = null
    this.#folder = null
    for (const file of files) await closeFile(file)
  }

  /** Takes up what was claimed before: settles what the position has passed, queues the rest. */
  async #restore(folder: DropFolder, resume: Position | null): Promise<void> {
    const claimed = await folder.claimed((resume?.seq ?? 0) + 1)
    this.#resume = resume
    this.#queue = []
    this.#condemned = []
    this.#passing = null
    this.#files = []
    this.#reading = null
    this.#ended = false
    for (const each of claimed) {
      if (resume !== null && (each.seq < resume.seq || (each.seq === resume.seq && resume.end)))
        await folder.settle(each)
      else this.#queue.push(each)
    }
    if (resume === null || resume.end || this.#queue[0]?.seq === resume.seq) return
    const fault = componentFault('FILE_CHANGED', { where: resume.name, why: 'it vanished while it was being read' })
    this.#context.log('error', 'a claimed file vanished', {
      file: resume.name,
      rowsTaken: resume.rows,
      line: resume.line,
    })
    await folder.noteVanished(resume.name, fileReasonText(resume.name, fault, resume))
  }

  /** Opens the next file; `null` when there is none, or when it was condemned. */
  async #begin(): Promise<OpenFile | null> {
    const folder = this.#folder
    if (folder === null) throw new Error('the source is not open')
    const claimed = this.#queue[0] ?? (await folder.claim())
    if (claimed === null) {
      this.#ended = this.#settings.once && folder.isEmpty
      return null
    }
    // It leaves the queue when it is opened or condemned; a failure that may pass leaves it there.
    this.#queue[0] = claimed
    const resume = this.#resume?.seq === claimed.seq ? this.#resume : null
    const file = await this.#openFile(claimed, resume).catch((error: unknown) => this.#verdict(error, claimed.name))
    if (file instanceof Fault) {
      await this.#condemn(claimed, file, resume ?? { rows: 0, line: 1 })
      this.#condemned.push(claimed)
    }
    this.#queue.shift()
    if (file instanceof Fault) return null
    this.#files.push(file)
    return file
  }

  /** The fault for which a whole file is set aside; anything else is thrown on. */
  #verdict(error: unknown, name: string): Fault {
    const fault = unusable(error, name)
    if (fault === null) throw error
    return fault
  }

  async #openFile(claimed: Claimed, resume: Position | null): Promise<OpenFile> {
    const handle = await open(pathOf(claimed), 'r')
    try {
      const { size: sizeBytes, mtimeMs: changedMs } = await handle.stat()
      if (resume !== null && (resume.sizeBytes !== sizeBytes || resume.changedMs !== changedMs)) {
        throw componentFault('FILE_CHANGED', { where: claimed.name, why: 'size or time differ from when it was begun' })
      }
      const reader = await RecordReader.open(handle, { sizeBytes, format: this.#format, where: claimed.name, resume })
      const taken = this.#files.some((file) => file.label === claimed.name)
      const label = taken ? `${claimed.name}#${claimed.seq}` : claimed.name
      const rows = resume?.rows ?? 0
      await this.#folder?.pardon(claimed)
      return { claimed, label, handle, reader, sizeBytes, changedMs, rejects: null, rows, portions: [] }
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** The next portion of a file; `null` when it had to be condemned halfway, or a part of it was blank. */
  async #read(file: OpenFile): Promise<Portion | null> {
    const { place } = file.reader
    try {
      const records = await this.#readRecords(file)
      if (!(records instanceof Fault)) return this.#portionOf(file, records)
      await this.#condemn(file.claimed, records, { rows: file.rows, line: place.line })
      this.#reading = null
      return null
    } catch (error) {
      // What was read and not handed on is read again when the flow tries again.
      file.reader.goTo(place)
      throw error
    }
  }

  /** Records with the broken ones set aside durably, or why the rest of the file cannot be used. */
  async #readRecords(file: OpenFile): Promise<Records | Fault> {
    let records: Records
    try {
      records = await file.reader.read(this.#settings.batchRows)
      if (file.reader.ended) await this.#checkUnchanged(file)
    } catch (error) {
      return this.#verdict(error, file.claimed.name)
    }
    await this.#setAside(file, await brokenEntries(file, records))
    this.#brokenRows += records.broken.length
    return records
  }

  #portionOf(file: OpenFile, records: Records): Portion | null {
    file.rows += records.rows.length
    const end = file.reader.ended
    if (!end && records.rows.length === 0) return null
    if (end) this.#reading = null
    const { seq, name } = file.claimed
    const { sizeBytes, changedMs, rows } = file
    const cursor = encodePosition({
      owner: this.#owner(),
      seq,
      name,
      sizeBytes,
      changedMs,
      ...file.reader.place,
      rows,
      end,
    })
    file.portions.push({ cursor, records })
    const setAside = this.#brokenRows
    this.#brokenRows = 0
    return { items: itemsOf(file.label, records), cursor, setAside }
  }

  async #checkUnchanged(file: OpenFile): Promise<void> {
    const { size, mtimeMs } = await file.handle.stat()
    if (size === file.sizeBytes && mtimeMs === file.changedMs) return
    throw componentFault('FILE_CHANGED', { where: file.claimed.name, why: 'size or time changed since it was begun' })
  }

  async #condemn(claimed: Claimed, fault: Fault, taken: { rows: number; line: number }): Promise<void> {
    this.#context.log('warn', 'a file was set aside', { file: claimed.name, code: fault.code, why: fault.message })
    await this.#folder?.condemn(claimed, fileReasonText(claimed.name, fault, taken))
    this.#passing = claimed
  }

  #pass(claimed: Claimed): Portion {
    this.#passing = null
    const { seq, name } = claimed
    const place = { sizeBytes: 0, changedMs: 0, byte: 0, line: 1, rows: 0, end: true }
    return { items: [], cursor: encodePosition({ owner: this.#owner(), seq, name, ...place }) }
  }

  #owner(): string {
    return this.#folder?.owner ?? ''
  }

  async #setAside(file: OpenFile, entries: readonly RejectEntry[]): Promise<void> {
    if (entries.length === 0) return
    file.rejects ??= await RejectFile.open(rowsPathOf(file.claimed))
    await file.rejects.append(entries)
  }

  /** A refused row with its original text, found again by its `ref`. */
  async #entryOf(reject: Reject): Promise<{ file: OpenFile; entry: RejectEntry }> {
    const ref = String(reject.item.ref)
    const colon = ref.lastIndexOf(':')
    const file = this.#files.find((each) => each.label === ref.slice(0, colon))
    if (file === undefined) throw new Error(`no row ${ref} was handed out`)
    const line = Number(ref.slice(colon + 1))
    const { code } = reject.fault
    for (const { records } of file.portions) {
      const at = records.lines.indexOf(line)
      if (at < 0) continue
      const [text = ''] = await file.reader.texts([
        { start: records.starts[at] as number, end: records.ends[at] as number },
      ])
      return { file, entry: { line, code, reason: reasonOf(reject), ...boundedText(text) } }
    }
    return { file, entry: { line, code, reason: reasonOf(reject), row: reject.item.row } }
  }
}

async function brokenEntries(file: OpenFile, records: Records): Promise<RejectEntry[]> {
  const texts = await file.reader.texts(records.broken)
  return records.broken.map(({ line, code, why }, i) => {
    const fault = componentFault(code, { where: `${file.label}:${line}`, why })
    return { line, code, reason: reasonOf({ item: { row: {}, ref: line }, fault }), ...boundedText(texts[i] ?? '') }
  })
}

function itemsOf(label: string, records: Records): Item[] {
  const prefix = `${label}:`
  return records.rows.map((row, i) => ({ row, ref: prefix + (records.lines[i] as number) }))
}

/** The fault that makes a whole file unusable; `null` for what concerns the disk or us. */
function unusable(error: unknown, name: string): Fault | null {
  if (error instanceof Fault) return error.code.startsWith('FILE_') ? error : null
  const code = errorCode(error)
  if (code !== 'EACCES' && code !== 'EPERM' && code !== 'EISDIR' && code !== 'ENOENT') return null
  return componentFault('FILE_UNREADABLE', { where: name, why: (error as Error).message, cause: error })
}

/** May be called again. */
async function closeFile(file: OpenFile): Promise<void> {
  const { rejects } = file
  file.rejects = null
  await rejects?.close()
  if (file.handle.fd >= 0) await file.handle.close()
}
