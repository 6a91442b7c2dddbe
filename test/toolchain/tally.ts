// Counts what really ran, from tap's own stream: assertions that passed, failed or were skipped, file by file.
// A subtest's closing line repeats what was counted inside it and counts for nothing, unless it says something new (an
// exit code, a timeout, a broken plan). A file in which nothing ran has failed.

import { Parser, type Result } from 'tap-parser'

export type Totals = { passed: number; failed: number; skipped: number }

/** One test file. `ms` is null for a file that never came to its end; texts are ready to print. */
export type FileReport = Totals & {
  readonly path: string
  ms: number | null
  readonly failures: string[]
  readonly skips: string[]
}

/** Lines of a failure's diff or source that are worth a screen. */
const DIAGNOSTIC_LINES_MAX = 40

/** What tap says of a file, or a whole run, that contains no test. */
const NOTHING_RAN = 'no tests found'

export function totalsLine({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`
}

/**
 * Reads TAP written to `parser`. `onFile` is called as each file's result arrives; `totals` resolves at the stream's end.
 */
export function readTap(onFile: (report: FileReport) => void): { parser: Parser; totals: Promise<Totals> } {
  const parser = new Parser()
  const open = new Map<string, FileReport>()
  const totals: Totals = { passed: 0, failed: 0, skipped: 0 }

  const reportOf = (result: Result): FileReport => {
    const path = result.fullname.split(' > ')[0] ?? ''
    let report = open.get(path)
    if (report === undefined) {
      report = { path, ms: null, passed: 0, failed: 0, skipped: 0, failures: [], skips: [] }
      open.set(path, report)
    }
    return report
  }
  const fail = (report: FileReport, text: string): void => {
    totals.failed++
    report.failed++
    report.failures.push(text)
  }
  const skip = (result: Result, directive: string | boolean, kind: string): void => {
    const report = reportOf(result)
    const reason = typeof directive === 'string' ? directive : 'no reason given'
    if (reason === NOTHING_RAN) {
      fail(report, `${result.fullname}: ${NOTHING_RAN}`)
    } else {
      totals.skipped++
      report.skipped++
      report.skips.push(`${result.fullname}: ${kind}${reason}`)
    }
  }
  const close = (report: FileReport): void => {
    if (open.delete(report.path)) onFile(report)
  }

  parser.on('pass', (result: Result) => {
    totals.passed++
    reportOf(result).passed++
  })
  parser.on('fail', (result: Result) => fail(reportOf(result), describeFailure(result)))
  parser.on('skip', (result: Result) => skip(result, result.skip, ''))
  parser.on('todo', (result: Result) => skip(result, result.todo, 'todo: '))
  parser.on('assert', (result: Result) => {
    const report = reportOf(result)
    report.ms = result.time
    // The parser says what this closing line itself counts for right after this event.
    queueMicrotask(() => {
      if (!result.ok && report.failed === 0) fail(report, describeFailure(result))
      close(report)
    })
  })

  const done = new Promise<Totals>((resolve) => {
    parser.on('complete', () => {
      queueMicrotask(() => {
        for (const report of [...open.values()]) close(report)
        resolve(totals)
      })
    })
  })
  return { parser, totals: done }
}

/** Where, what was found and wanted, or where it was thrown; never the whole diagnostic. */
export function describeFailure(result: Result): string {
  const diag = (result.diag ?? {}) as Readonly<Record<string, unknown>>
  const at = diag.at as { fileName?: string; lineNumber?: number; columnNumber?: number } | undefined
  const lines = [result.fullname]
  if (at?.fileName !== undefined) lines.push(`at ${at.fileName}:${at.lineNumber}:${at.columnNumber}`)
  for (const key of ['tapError', 'message', 'exitCode', 'signal', 'expired', 'error', 'diff', 'source', 'stack']) {
    const value = diag[key]
    if (value === undefined || value === null || value === '') continue
    const text = typeof value === 'string' ? value.trimEnd() : JSON.stringify(value)
    lines.push(...(text.includes('\n') ? [`${key}:`, ...text.split('\n')] : [`${key}: ${text}`]))
  }
  if (diag.diff === undefined) {
    for (const key of ['found', 'wanted', 'pattern'] as const) {
      if (diag[key] !== undefined) lines.push(`${key}: ${JSON.stringify(diag[key])}`)
    }
  }
  const shown = lines.slice(0, DIAGNOSTIC_LINES_MAX)
  const more = lines.length - shown.length
  if (more > 0) shown.push(`(${more} more lines: run the file alone with node)`)
  return shown.join('\n    ')
}
