// The table at the end and the last line. Pure: numbers in, text out, at most 80 columns.

export const TABLE_COLUMNS_MAX = 80

export type TableRow = {
  readonly title: string
  readonly rows: number
  /** Uncompressed message bytes; `null` where nothing was measured. */
  readonly rawBytes: number | null
  readonly wireBytes: number | null
  readonly rowsPerSecond: number | null
  readonly restarts: number
  readonly rssBytes: number | null
  readonly rssBytesMax: number
}

const HEAD = ['', 'rows', 'raw', 'on wire', 'ratio', 'rows/s', 'restarts', 'RSS max', '']

/** Text lines of equal columns, a heading first. */
export function renderTable(rows: readonly TableRow[]): string[] {
  const cells = [HEAD, ...rows.map(cellsOf)]
  const widths = HEAD.map((_, column) => Math.max(...cells.map((line) => (line[column] as string).length)))
  const lines = cells.map((line) =>
    line
      .map((cell, column) => {
        const width = widths[column] as number
        return column === 0 || column === HEAD.length - 1 ? cell.padEnd(width) : cell.padStart(width)
      })
      .join(' ')
      .trimEnd(),
  )
  const rule = '─'.repeat(Math.max(...lines.map((line) => line.length)))
  return [lines[0] as string, rule, ...lines.slice(1)]
}

function cellsOf(row: TableRow): string[] {
  const { rawBytes, wireBytes, rssBytes } = row
  const hasRatio = rawBytes !== null && wireBytes !== null && wireBytes > 0
  return [
    row.title,
    formatCount(row.rows),
    rawBytes === null ? '-' : formatBytes(rawBytes),
    wireBytes === null ? '-' : formatBytes(wireBytes),
    hasRatio ? `${(rawBytes / wireBytes).toFixed(1)}x` : '-',
    row.rowsPerSecond === null ? '-' : formatCount(Math.round(row.rowsPerSecond)),
    String(row.restarts),
    rssBytes === null ? 'unknown' : formatBytes(rssBytes),
    isWithinRss(row) ? 'ok' : 'OVER',
  ]
}

/** A peak nobody measured is not within the limit: the demo promises to show it. */
export function isWithinRss(row: Pick<TableRow, 'rssBytes' | 'rssBytesMax'>): boolean {
  return row.rssBytes !== null && row.rssBytes <= row.rssBytesMax
}

export type Totals = {
  readonly sent: number
  readonly landed: number
  readonly lost: number
  readonly duplicated: number
  readonly altered: number
  readonly seconds: number
}

export function renderLastLine(totals: Totals): string {
  const { sent, landed, lost, duplicated, altered, seconds } = totals
  const counts = `sent=${sent} landed=${landed} lost=${lost} duplicated=${duplicated} altered=${altered}`
  return `demo: ${counts} seconds=${seconds.toFixed(1)}`
}

export function formatCount(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** In binary units with at most one decimal, at most 8 characters. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB']
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}
