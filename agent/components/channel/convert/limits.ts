// Bounds of `convert`, with their arithmetic.

/**
 * Records of one document that become rows: they are all in memory at once. At some 500 bytes a row of ten fields 100,000 take
 * 50 MB; the most that can be set, 500 MB, needs a thread with as much.
 */
export const RECORDS_DEFAULT = 100_000
export const RECORDS_MAX = 1_000_000

/** Columns of a fixed-width record. The longest known, of a tax office, has 311. */
export const FIXED_COLUMNS_MAX = 2_000
export const FIXED_WIDTH_MAX = 65_536

/** Steps of a path into XML, and of a JSON Pointer. */
export const PATH_STEPS_MAX = 32

/** Text gathered before it becomes bytes. */
export const BLOCK_CHARS = 65_536

/** Records handed on at a time between reading and writing. */
export const BATCH_RECORDS = 256

/** Work on one document without a pause; parsing the tree of an XML document has none. */
export const BUSY_MS_MAX = 20

/** Groups one portion of rows may be cut into: each is a document of its own. A portion of the sources here has 5,000 rows. */
export const GROUPS_MAX = 10_000

/** A broken record is kept with its rejection; longer ones are cut. */
export const RECORD_TEXT_CHARS_MAX = 65_536

/** A workbook's parts. One with 100 sheets has about 250; pictures and charts add some. */
export const XLSX_ENTRIES_MAX = 5_000
/**
 * Unpacked size of a workbook in proportion to its packed size. Sheets of equal cells reach 30; DEFLATE can do 1,032. The absolute
 * bound is a multiple of `bytesMax`: sheets unpack to ten times their size as a rule.
 */
export const XLSX_RATIO_MAX = 200
export const XLSX_UNPACKED_FACTOR = 20
/** A text in memory has at most 512 MiB of characters; one of UTF-8 may need as much. */
export const XLSX_UNPACKED_BYTES_MAX = 400 * 1_048_576
/** Of the file format: columns A–XFD, rows, characters of a cell, and of a sheet's name. */
export const XLSX_COLUMNS_MAX = 16_384
export const XLSX_ROWS_MAX = 1_048_576
export const XLSX_CELL_CHARS_MAX = 32_767
export const XLSX_SHEET_NAME_CHARS_MAX = 31
/** Digits a spreadsheet keeps of a number. */
export const XLSX_DIGITS_MAX = 15
