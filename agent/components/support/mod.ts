// What adapters share besides text formats: durable files, rows set aside, SQLite, waiting.

export {
  errorCode,
  exists,
  fileFault,
  flushFolder,
  makeFolder,
  moveInto,
  readIfThere,
  removeIfThere,
  replaceFile,
  writeFlushed,
} from './files.ts'
export { reportAll } from './rejecting.ts'
export { boundedText, type RejectEntry, RejectFile, reasonOf } from './rejects.ts'
export {
  type Column,
  isBigIntegerError,
  openDatabase,
  quoteName,
  sqliteFault,
  sqliteRowFault,
  tableColumns,
  tableNames,
  uniqueKeys,
} from './sqlite.ts'
export { csvOptions, csvProblem, textSettings } from './text-settings.ts'
export { waitFor } from './wait.ts'
