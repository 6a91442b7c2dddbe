// Text in columns for terminals and manuals; wide East Asian characters take two places.

import { columns } from './width.ts'

/** Breaks at spaces so that no line is wider than `width`, except for a single longer word. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`
    if (line !== '' && columns(longer) > width) {
      lines.push(line)
      line = word
    } else line = longer
  }
  lines.push(line)
  return lines
}

/** Rows of cells under each other; the last column takes what is left of `width`, the others at most `cellMax`. */
export function table(rows: readonly (readonly string[])[], options: { width: number; cellMax: number }): string {
  const count = Math.max(0, ...rows.map((row) => row.length))
  const widths = Array.from({ length: count }, (_, index) => {
    const widest = rows.reduce((most, row) => Math.max(most, columns(row[index] ?? '')), 0)
    return Math.min(widest, options.cellMax)
  })
  const taken = widths.slice(0, -1).reduce((sum, width) => sum + width + 2, 0)
  const lines: string[] = []
  for (const row of rows) {
    const cells = row.map((cell, index) => {
      // Names are never broken: a name that runs over its column pushes the rest of its line.
      if (index === 0) return [cell]
      return wrap(cell, index === count - 1 ? Math.max(24, options.width - taken) : options.cellMax)
    })
    const height = Math.max(...cells.map((cell) => cell.length))
    for (let y = 0; y < height; y += 1) {
      lines.push(
        cells
          .map((cell, index) => padded(cell[y] ?? '', widths[index] ?? 0))
          .join('  ')
          .trimEnd(),
      )
    }
  }
  return lines.join('\n')
}

function padded(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - columns(text)))
}
