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

/**
 * Any thrown value as a fault: faults pass through; what the operating system refused is `SYSTEM_REFUSED` at its path;
 * everything else becomes `INTERNAL` with its cause kept.
 */
export function asFault(error: unknown, where?: string): Fault {
  if (error instanceof Fault) return error
  const at = where === undefined ? {} : { where }
  if (!(error instanceof Error)) return baseFault('INTERNAL', { why: String(error), cause: error, ...at })
  const { code, syscall, path, message } = error as Error & { code?: string; syscall?: string; path?: string }
  const todo = typeof syscall === 'string' ? SYSTEM_REMEDIES.get(String(code)) : undefined
  if (todo === undefined) return baseFault('INTERNAL', { why: message, cause: error, ...at })
  // Node's message ends with the call and the paths: `EACCES: permission denied, mkdir '/a'`.
  const why = message.split(`, ${syscall}`, 1)[0] ?? message
  return baseFault('SYSTEM_REFUSED', { why, todo, cause: error, ...(path === undefined ? at : { where: path }) })
}

/** The same with `place` before its own place: the file in which a fault's line or setting stands. */
export function faultIn(place: string, error: unknown): Fault {
  const { code, message, remedy, where, cause, details } = asFault(error)
  const at = where === null || where === place ? place : where.startsWith(`${place}:`) ? where : `${place}: ${where}`
  return new Fault(code, { meaning: message, remedy }, { ...details, where: at, cause })
}

const baseFault = declareFaults('base', {
  INTERNAL: {
    meaning: 'an unexpected failure inside Causeway',
    remedy: 'Keep the log and report it; nothing that was acknowledged is lost',
  },
  SYSTEM_REFUSED: {
    meaning: 'the operating system refused',
    remedy: 'Mend what it names, then try again',
  },
})

const NOT_THAT_KIND = 'Check the path: a file stands where a folder is needed, or a folder where a file is'
const NOT_ALLOWED = 'Run this as the user it belongs to, or give the user who runs it the right to it'

/** What to do about an error of the operating system, by its code. Any other code is a mistake of ours. */
const SYSTEM_REMEDIES: ReadonlyMap<string, string> = new Map([
  ['EACCES', NOT_ALLOWED],
  ['EPERM', NOT_ALLOWED],
  ['EROFS', 'Its file system can only be read: mount it for writing, or choose another folder'],
  ['ENOENT', 'Check the path: it, or a folder on the way to it, is not there'],
  ['ENOTDIR', NOT_THAT_KIND],
  ['EISDIR', NOT_THAT_KIND],
  ['EEXIST', NOT_THAT_KIND],
  ['ENAMETOOLONG', 'Choose a shorter path'],
  ['ELOOP', 'Mend the links on the way: they lead in a circle'],
  ['ENOSPC', 'Free space on that disk'],
  ['EDQUOT', 'Free space, or ask for a greater quota'],
  ['EMFILE', 'Let the process open more files: ulimit -n, or LimitNOFILE in the systemd unit'],
  ['ENFILE', 'Let the machine open more files: fs.file-max'],
  ['EIO', 'Look at the disk: the system log tells more'],
])

function sentence(text: string): string {
  return /[.!?。]$/.test(text) ? text : `${text}.`
}
