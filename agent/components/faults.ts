// Every fault a built-in component can raise. Row-level codes travel in rejects; the others stop the flow.

import { declareFaults } from '#protocol/base/mod.ts'

export const componentFault = declareFaults('components', {
  COMPONENT_SETTINGS: {
    meaning: 'these settings do not go together',
    remedy: 'Correct the settings of this component in the flow file',
  },
  SOURCE_POSITION_INVALID: {
    meaning: 'the position kept by the destination is not one this source wrote',
    remedy: 'Give the flow a new name to start from the beginning, or restore the settings it ran with',
  },

  HUB_SUBSCRIPTION_REFUSED: {
    meaning: 'the hub does not let this agent receive',
    remedy: "Ask the hub's operator for the queue or the right; the flow tries again by itself",
  },
  HUB_MESSAGE_NOT_A_ROW: {
    meaning: 'a message is not a record in JSON',
    remedy:
      'Only messages with content type application/json and an object as body become rows; take others with the library',
  },

  HUB_MESSAGE_NOT_A_FILE: {
    meaning: 'a message is no file',
    remedy:
      'Files have a header `:file` or refer to large content; take other messages with `format: rows` or the library',
  },
  HUB_REFUSES: {
    meaning: 'the hub does not take what this flow has sent',
    remedy: "Read the hub's reason; the files stay where they are, and the flow tries again by itself",
  },
  FILE_LATE: {
    meaning: 'the content of the file did not come on',
    remedy:
      'Look whether its sender goes on with it; when the hub has it, have the message delivered again: causeway-hub redrive',
  },
  FILE_NOT_SENT: {
    meaning: 'the content of the file could not be brought to the hub yet',
    remedy: 'Nothing is lost: the flow tries again, and goes on where it was',
  },

  SQLITE_FILE_MISSING: {
    meaning: 'the database file does not exist',
    remedy: 'Check `file`; a relative path starts at the folder of the flow file',
  },
  SQLITE_OPEN_FAILED: {
    meaning: 'the database file cannot be opened',
    remedy:
      'Check the rights of the file and of its folder: a database in WAL mode also needs its -wal and -shm files beside it',
  },
  SQLITE_NOT_DATABASE: {
    meaning: 'the file is not an SQLite database, or it is encrypted',
    remedy: 'Check `file`',
  },
  SQLITE_BUSY: {
    meaning: 'another program holds a lock on the database',
    remedy: 'Nothing to do: the flow tries again. If it lasts, look for a program that keeps a transaction open',
  },
  SQLITE_FULL: {
    meaning: 'no space is left for the database',
    remedy: 'Free space on its disk; the flow then goes on',
  },
  SQLITE_IO: {
    meaning: 'reading or writing the database failed',
    remedy: 'Check the disk and the mount; the flow tries again',
  },
  SQLITE_CORRUPT: {
    meaning: 'the database is damaged',
    remedy: 'Run `PRAGMA integrity_check` on it and restore it from a backup',
  },
  SQLITE_READONLY: {
    meaning: 'the database may not be written',
    remedy: 'Give the agent the right to write the file and its folder',
  },
  SQLITE_TABLE_MISSING: { meaning: 'the database has no such table', remedy: 'Check `table`' },
  SQLITE_COLUMN_MISSING: { meaning: 'a column named in the settings does not exist', remedy: 'Check the column names' },
  SQLITE_QUERY_INVALID: {
    meaning: 'the query cannot be prepared',
    remedy: 'Give one SELECT whose result has the key and watermark columns; try it in a database shell first',
  },
  SQLITE_KEY_NOT_UNIQUE: {
    meaning: 'two rows have the same watermark and key, so a position between them cannot be kept',
    remedy: 'List enough columns in `key` to tell any two rows apart',
  },
  SQLITE_KEY_NULL: {
    meaning: 'a row has no value in a key column',
    remedy: 'Choose a `key` that is never NULL, or exclude such rows with a `query`',
  },
  SQLITE_KEY_NO_INDEX: {
    meaning: 'the table has no primary key or unique index on exactly the key columns',
    remedy: 'Create one: rows cannot be recognised as repeats without it',
  },
  SQLITE_EXTRA_FIELDS: {
    meaning: 'rows carry fields the table has no column for',
    remedy: 'Drop or rename them in a `map` channel, add the columns, or set `ignoreExtra: true`',
  },
  SQLITE_ROLLED_BACK: {
    meaning: 'the table answers a refused row by undoing the whole transaction',
    remedy:
      'Remove ON CONFLICT ROLLBACK and RAISE(ROLLBACK) from the table and its triggers; ABORT refuses the row alone',
  },
  SQLITE_DEFERRED_KEY: {
    meaning: 'a deferred foreign key is violated at the end of the portion, so the database does not say by which row',
    remedy:
      'Declare the foreign key NOT DEFERRABLE, so that the row alone is refused, or deliver the referenced rows first',
  },
  SQLITE_FAILED: { meaning: 'the database refused a statement', remedy: 'Read the reason; the flow stops here' },
  SQLITE_ROW_REFUSED: {
    meaning: 'the table refuses the row',
    remedy: 'Correct the row or the constraint and send it again',
  },
  SQLITE_VALUE_UNFIT: {
    meaning: 'the database cannot hold a value of the row',
    remedy: 'Integers reach from -2^63 to 2^63-1 and values to 1 GB; convert the field in a `map` channel',
  },
  SQLITE_ROW_KEYLESS: {
    meaning: 'the row lacks a value for a key column',
    remedy: 'Fill the key fields in a `map` channel or correct the row at its source',
  },

  DIRECTORY_MISSING: {
    meaning: 'the directory does not exist',
    remedy: 'Create it, or check `path`; a relative path starts at the folder of the flow file',
  },
  DIRECTORY_DENIED: {
    meaning: 'the directory may not be used',
    remedy: 'Give the agent the right to read and write in it',
  },
  DIRECTORY_FULL: { meaning: 'no space is left on the disk', remedy: 'Free space; the flow then goes on' },
  DIRECTORY_IO: {
    meaning: 'reading or writing in the directory failed',
    remedy: 'Check the disk and the mount; the flow tries again',
  },
  DIRECTORY_POSITION_FOREIGN: {
    meaning: 'the position was kept for files claimed by another agent',
    remedy: 'Give this flow a name of its own, or restore the data folder it ran with',
  },
  DIRECTORY_POSITION_DAMAGED: {
    meaning: 'the position file cannot be read',
    remedy: 'Restore it from a backup; without it, it is not known which rows are already there',
  },
  DIRECTORY_EXTRA_FIELDS: {
    meaning: 'rows carry fields that `columns` does not list',
    remedy: 'List them, drop them in a `map` channel, or set `ignoreExtra: true`',
  },

  FILE_NOT_TEXT: {
    meaning: 'the file is not text in the encoding of the flow',
    remedy: 'Save it as text in the encoding the flow names, or correct `encoding`',
  },
  FILE_HEADER: {
    meaning: 'the first line does not name the columns as it should',
    remedy: 'Correct the first line and drop the file again, or correct the settings of the flow',
  },
  FILE_CHANGED: {
    meaning: 'the file was changed while it was being read',
    remedy:
      'Write files under another name and rename them when complete, or raise `stableMs`; the rows not yet taken must be dropped again',
  },
  FILE_UNREADABLE: { meaning: 'the file cannot be read', remedy: 'Check its rights and the disk, then drop it again' },

  FILE_STILL_WRITTEN: {
    meaning: 'the file was written while it was being sent',
    remedy:
      'Nothing to do: it was put back, and is sent when it rests. Write files under another name and rename them when complete, or raise `stableMs`',
  },
  FILE_NAMELESS: {
    meaning: 'the file has no name',
    remedy: 'Give the field `name` a text in a `map` channel',
  },
  FILE_WITHOUT_CONTENT: {
    meaning: 'the row comes without the content of a file',
    remedy: 'Use `format: file` at the source too, or csv or jsonl here',
  },
  FILE_NAME_TAKEN: {
    meaning: 'the file cannot have this path here',
    remedy: 'Give it another in a `map` channel (field `name`), or move away what is in its place',
  },
  FILE_NOT_FETCHED: {
    meaning: 'the content of the file could not be brought here yet',
    remedy: 'Nothing is lost: the flow tries again, and what has arrived is kept',
  },

  CSV_COLUMNS: {
    meaning: 'the row has the wrong number of columns',
    remedy: 'Correct the row; a value with a delimiter needs quotes',
  },
  CSV_LINE_END: {
    meaning: 'the line does not end as lines of a CSV file do',
    remedy: 'Save the file with line ends of Windows or Unix (CRLF or LF); quote values that have a carriage return',
  },
  CSV_QUOTES: {
    meaning: 'the quotes of the row are broken',
    remedy: 'Quote the whole value and double the quotes inside it, or set `quote: ""` if the files use none',
  },
  TEXT_UNDECODABLE: {
    meaning: 'the line is not valid in the encoding of the flow',
    remedy: 'Correct the line or `encoding`',
  },
  TEXT_NUL: { meaning: 'the line contains a NUL byte', remedy: 'Remove it at the source: it is not text' },
  TEXT_UNENCODABLE: {
    meaning: 'the row has a character the encoding cannot express',
    remedy: 'Use gb18030 or utf-8 for the files, or replace the character in a `map` channel',
  },
  LINE_TOO_LONG: {
    meaning: 'the line is longer than a row may be',
    remedy: 'Send large content as a transfer, not in a row',
  },
  JSON_INVALID: { meaning: 'the record is not valid JSON', remedy: 'Write one JSON object per line' },
  JSON_NOT_OBJECT: { meaning: 'the record is JSON, but not an object', remedy: 'Write one JSON object per line' },

  DOCUMENT_MISSING: {
    meaning: 'there is no document',
    remedy:
      'Give this channel files (`format: file` at the source, or a `convert` before it), or name the `field` that holds the document',
  },
  DOCUMENT_TOO_LARGE: {
    meaning: 'the document is larger than this channel takes',
    remedy: 'Raise `bytesMax` of the channel if the memory is there, or split the document at its source',
  },
  DOCUMENT_AT_HUB: {
    meaning: 'the document is large content at the hub, which is not fetched here',
    remedy: 'Have its message refer to one content alone, or take it out with a `filter`',
  },

  ATTACHED_INVALID: {
    meaning: 'a file in the row cannot be used',
    remedy: 'Give it as `{ name, mediaType, contentId }` with one of `bytes`, `text` and `base64`, in a `map` channel',
  },

  DOCUMENT_NOT_JSON: {
    meaning: 'the document is not JSON as it should be',
    remedy: 'Have its sender correct it; the other documents went on',
  },

  MAP_FIELD_MISSING: {
    meaning: 'the row has no field to rename',
    remedy: 'Correct `rename`; for a field that is sometimes absent use `expressions`, which give null',
  },
  EXPRESSION_SYNTAX: {
    meaning: 'the expression is not valid JSONata',
    remedy: 'Correct the expression; see docs.jsonata.org',
  },
  EXPRESSION_FAILED: {
    meaning: 'the expression failed on this row',
    remedy: 'Make the expression cope with such rows, or correct the row',
  },
  EXPRESSION_TIMEOUT: {
    meaning: 'the expression did not finish in time on this row',
    remedy: 'Simplify the expression or raise `timeoutMs`',
  },
  FILTER_NOT_BOOLEAN: {
    meaning: 'the condition gave neither true nor false',
    remedy: 'Compare explicitly, for example `state = "open"` or `$exists(field)`',
  },
})
