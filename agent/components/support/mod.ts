// What adapters share besides text formats: durable files, rows set aside, SQLite, waiting.

export { fetchRefusal } from './fetching.ts'
export {
  atOnce,
  errorCode,
  exists,
  fileFault,
  flushFolder,
  isDenied,
  makeFolder,
  moveToFree,
  pointedName,
  readIfThere,
  removeIfThere,
  replaceFile,
  writeFlushed,
} from './files.ts'
export { checkLocal, copyLocal, readSmall, stillWritten } from './local-file.ts'
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
export { csvOptions, csvProblem, csvSettings, encodingField, textSettings } from './text-settings.ts'
export { waitFor } from './wait.ts'
