// Source `directory` with format `file`: every dropped file is one item, whatever it holds. The files of a portion are claimed
// together; they go to done/ when what was made of them has arrived.

import type { ComponentContext, Cursor, Item, Portion, Reject, Source } from '../../contract.ts'
import { componentFault } from '../../faults.ts'
import { PORTION_FILES_BYTES_MAX } from '../../limits.ts'
import { fileFault, reasonOf } from '../../support/mod.ts'
import { type Claim, type ClaimedFile, FileClaims, type Refusal } from './claims.ts'
import { DropScan } from './drop-scan.ts'
import { mediaTypeOf } from './media-types.ts'
import type { DirectorySourceSettings } from './settings.ts'

/** `seq`: the last claim whose portion is committed. */
type FilesPosition = { readonly owner: string; readonly seq: number }

export class DirectoryFilesSource implements Source {
  readonly keepsUntilArrived = true
  readonly #settings: DirectorySourceSettings
  readonly #context: ComponentContext
  readonly #path: string
  readonly #scan: DropScan
  #claims: FileClaims | null = null
  /** Claimed before and not given yet, oldest first. */
  #queue: Claim[] = []
  /** Given and not settled yet, oldest first. */
  #given: Claim[] = []
  #ended = false

  constructor(settings: DirectorySourceSettings, context: ComponentContext) {
    this.#settings = settings
    this.#context = context
    this.#path = context.resolvePath(settings.path)
    this.#scan = new DropScan(this.#path, settings, context)
  }

  async open(position: Cursor | null): Promise<void> {
    const resume = position === null ? null : decodeFilesPosition(position)
    try {
      const { dataDir } = this.#context
      this.#claims = await FileClaims.open(this.#path, {
        dataDir,
        knownOwner: resume?.owner ?? null,
        onDenied: (folder, why) => this.#scan.tellDenied(folder, why),
      })
      if (resume !== null && resume.owner !== this.#claims.owner) {
        throw componentFault('DIRECTORY_POSITION_FOREIGN', { where: this.#path })
      }
      const done = resume?.seq ?? 0
      this.#queue = []
      for (const claim of await this.#claims.claimed(done + 1)) {
        if (claim.seq <= done) await this.#claims.settle(claim)
        else this.#queue.push(claim)
      }
    } catch (error) {
      throw fileFault(error, this.#path)
    }
    this.#given = []
    this.#ended = false
    this.#scan.begin()
  }

  async next(signal: AbortSignal): Promise<Portion | null> {
    const claims = this.#claims
    if (claims === null) throw new Error('the source is not open')
    if (signal.aborted) return null
    try {
      const claim = this.#queue[0] ?? (await claims.takeUp()) ?? (await this.#claim(claims))
      if (claim === null) {
        this.#ended = this.#settings.once && this.#scan.isEmpty
        return null
      }
      await claims.pardon(claim)
      if (this.#queue[0] === claim) this.#queue.shift()
      this.#given.push(claim)
      return { items: claim.files.map((file) => itemOf(claim.seq, file)), cursor: this.#cursorOf(claim) }
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
      for (const claim of this.#given) {
        const refusals = rejects.filter(({ item }) => placeOf(item.ref).seq === claim.seq).map(refusalOf)
        if (refusals.length > 0) await this.#claims?.refuse(claim, refusals)
      }
    } catch (error) {
      throw fileFault(error, this.#path)
    }
    for (const { item, fault } of rejects) {
      const message = isBack(fault.code) ? 'a file is sent later' : 'a file was set aside'
      this.#context.log('warn', message, { file: item.row.name, code: fault.code, why: fault.message })
    }
  }

  async committed(cursor: Cursor): Promise<void> {
    const { seq } = decodeFilesPosition(cursor)
    try {
      for (const claim of this.#given.filter((each) => each.seq <= seq)) {
        // Forgotten last: after a failure the flow tells us the same cursor again.
        await this.#claims?.settle(claim)
        this.#given = this.#given.filter((each) => each !== claim)
      }
    } catch (error) {
      throw fileFault(error, this.#path)
    }
  }

  async close(): Promise<void> {
    this.#claims = null
    await this.#scan.close()
  }

  /** Claims what rests, up to a portion; `null` when nothing does. */
  async #claim(claims: FileClaims): Promise<Claim | null> {
    const limits = { filesMax: this.#settings.batchRows, bytesMax: PORTION_FILES_BYTES_MAX }
    for (;;) {
      const found = await this.#scan.take(limits)
      if (found.length === 0) return null
      const claim = await claims.claim(found)
      if (claim !== null) return claim
    }
  }

  #cursorOf({ seq }: Claim): Cursor {
    return JSON.stringify({ v: 1, files: true, owner: this.#claims?.owner ?? '', seq })
  }
}

const refOf = (seq: number, number: number): string => `${seq}/${number}`

/** The claim and the number a ref says. */
function placeOf(ref: Item['ref']): { readonly seq: number; readonly number: number } {
  const [seq = 0, number = 0] = String(ref).split('/').map(Number)
  return { seq, number }
}

function itemOf(seq: number, { name, path, size, changedMs, inode, number }: ClaimedFile): Item {
  const row = { name, size, modified: new Date(changedMs).toISOString(), mediaType: mediaTypeOf(name) }
  return { row, ref: refOf(seq, number), content: { kind: 'local', path, size, changedMs, inode } }
}

/** What was written meanwhile may well rest later. */
const isBack = (code: string): boolean => code === 'FILE_STILL_WRITTEN'

function refusalOf(reject: Reject): Refusal {
  const { code } = reject.fault
  const refusal = { ref: placeOf(reject.item.ref).number, code, reason: reasonOf(reject) }
  return isBack(code) ? { ...refusal, back: true } : refusal
}

function decodeFilesPosition(cursor: Cursor): FilesPosition {
  const where = 'source directory'
  try {
    const { v, files, owner, seq } = JSON.parse(cursor) as Record<string, unknown>
    if (v === 1 && files === true && typeof owner === 'string' && Number.isSafeInteger(seq)) {
      return { owner, seq: seq as number }
    }
  } catch (error) {
    throw componentFault('SOURCE_POSITION_INVALID', { where, why: (error as Error).message })
  }
  throw componentFault('SOURCE_POSITION_INVALID', { where, why: 'it has another form' })
}
