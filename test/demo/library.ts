// The two databases where records land: the centre's library and the prefecture's. Both have one schema, and both note every
// write in `arrivals` by triggers. The table's key would hide a record that arrives twice; the arrivals show it, whatever
// statement wrote it: a record written once has one arrival, a repeat that changed nothing has two.

import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

export const LIBRARY_TABLE = 'division'

/** Makes the empty library. Call it before any flow opens the file. */
export function createLibrary(file: string): void {
  mkdirSync(dirname(file), { recursive: true })
  const db = new DatabaseSync(file)
  try {
    db.exec(`
      PRAGMA journal_mode = WAL;
      CREATE TABLE division (
        code TEXT NOT NULL PRIMARY KEY,
        level TEXT NOT NULL,
        name TEXT NOT NULL,
        parent TEXT NOT NULL,
        province TEXT NOT NULL,
        prefecture TEXT NOT NULL,
        department TEXT NOT NULL
      );
      CREATE TABLE arrivals (seq INTEGER PRIMARY KEY, code TEXT NOT NULL);
      CREATE TRIGGER division_inserted AFTER INSERT ON division BEGIN
        INSERT INTO arrivals (code) VALUES (new.code);
      END;
      CREATE TRIGGER division_updated AFTER UPDATE ON division BEGIN
        INSERT INTO arrivals (code) VALUES (new.code);
      END;
      CREATE TRIGGER division_deleted AFTER DELETE ON division BEGIN
        INSERT INTO arrivals (code) VALUES (old.code);
      END;
    `)
  } finally {
    db.close()
  }
}

/** Reads a library while its flow writes it. */
export class LibraryReader {
  readonly #db: DatabaseSync
  readonly #arrivals

  constructor(file: string) {
    this.#db = new DatabaseSync(file, { readOnly: true, timeout: 5_000 })
    this.#arrivals = this.#db.prepare('SELECT max(seq) AS seq FROM arrivals')
  }

  /** Writes so far, repeats included: one look at the end of a B-tree, however many rows there are. */
  arrivals(): number {
    return Number(this.#arrivals.get()?.seq ?? 0)
  }

  rows(): number {
    return Number(this.#db.prepare('SELECT count(*) AS n FROM division').get()?.n)
  }

  close(): void {
    this.#db.close()
  }
}
