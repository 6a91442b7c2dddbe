// A fault is an error a person can act on: a stable code, what happened, where, and what to do.
// Every area declares its codes in one table (`faults.ts`); the manual's error list is generated from the tables.

/** What one code means. `remedy` is used when the raiser has no better advice (`todo`). */
export type FaultEntry = { readonly meaning: string; readonly remedy: string }

export type FaultTable = Readonly<Record<string, FaultEntry>>

/** Details of one occurrence. `where` names the file, line, peer or object; `todo` replaces the table's remedy. */
export type FaultDetails = {
  readonly where?: string
  readonly why?: string
  readonly todo?: string
  readonly cause?: unknown
  readonly [detail: string]: unknown
}

/** An error with a code. Match `code`, never the text. `details` holds only what may be shown: no secrets. */
export class Fault extends Error {
  readonly code: string
  readonly where: string | null
  readonly remedy: string
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: string, entry: FaultEntry, details: FaultDetails) {
    const { where, why, todo, cause, ...rest } = details
    super(why === undefined ? entry.meaning : `${entry.meaning}: ${why}`, cause === undefined ? {} : { cause })
    this.name = 'Fault'
    this.code = code
    this.where = where ?? null
    this.remedy = todo ?? entry.remedy
    this.details = rest
  }

  /** One paragraph for a person: `CODE at WHERE: what happened. Do this.` */
  describe(): string {
    const at = this.where === null ? '' : ` at ${this.where}`
    return `${this.code}${at}: ${sentence(this.message)} ${sentence(this.remedy)}`
  }

  /** The same for a machine; `cause` is reduced to its message. */
  toJSON(): Record<string, unknown> {
    return {
      code: this.code,
      message: this.message,
      where: this.where,
      remedy: this.remedy,
      ...this.details,
      ...(this.cause instanceof Error ? { cause: this.cause.message } : {}),
    }
  }
}

const declared = new Map<string, FaultEntry & { readonly area: string }>()

/**
 * Declares an area's codes and gives back its constructor: `throw fault('SPOOL_FULL', { where, limitBytes })`.
 * A code belongs to one area only; declaring it twice throws at start-up.
 */
export function declareFaults<T extends FaultTable>(
  area: string,
  table: T,
): (code: keyof T & string, details?: FaultDetails) => Fault {
  for (const [code, entry] of Object.entries(table)) {
    if (declared.has(code)) throw new Error(`fault code ${code} is declared twice (${area})`)
    declared.set(code, { ...entry, area })
  }
  return (code, details = {}) => new Fault(code, table[code] as FaultEntry, details)
}

/** Every code declared by the modules loaded so far, for the manual. */
export function declaredFaults(): ReadonlyMap<string, FaultEntry & { readonly area: string }> {
  return declared
}

/** Any thrown value as a fault: faults pass through, everything else becomes `INTERNAL` with its cause kept. */
export function asFault(error: unknown, where?: string): Fault {
  if (error instanceof Fault) return error
  const why = error instanceof Error ? error.message : String(error)
  return baseFault('INTERNAL', { why, cause: error, ...(where === undefined ? {} : { where }) })
}

const baseFault = declareFaults('base', {
  INTERNAL: {
    meaning: 'an unexpected failure inside Causeway',
    remedy: 'Keep the log and report it; nothing that was acknowledged is lost',
  },
})

function sentence(text: string): string {
  return /[.!?。]$/.test(text) ? text : `${text}.`
}
