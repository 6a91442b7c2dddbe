// xsltproc, of libxslt: it parses and transforms a file again and again in one process when told `--repeat` twice.

import { complete } from '../children.ts'

/** A file named once is parsed and transformed so often; it is written the last time only. */
const REPEATS = 100

export const xsltprocConditions =
  'xsltproc --repeat --repeat: one process parses and transforms the file 100 times, and writes the result the last time only (ours does every time)'

export const transformOnce = (stylesheet: string, file: string, out: string): Promise<string> =>
  complete('xsltproc', ['-o', out, stylesheet, file])

/** Documents per second of processor time, from as many as take about `wantedMs`. */
export async function xsltprocRate(stylesheet: string, file: string, wantedMs: number): Promise<number> {
  const first = await timed(stylesheet, file, 2)
  const times = Math.max(2, Math.round((2 * wantedMs) / 1000 / first))
  return (times * REPEATS) / (await timed(stylesheet, file, times))
}

/** Processor time of the program, its start included. With `-o` it would not repeat. */
async function timed(stylesheet: string, file: string, times: number): Promise<number> {
  const script = 'stylesheet=$1; shift; xsltproc --repeat --repeat "$stylesheet" "$@" >/dev/null && times'
  const said = await complete('sh', ['-c', script, 'sh', stylesheet, ...Array.from({ length: times }, () => file)])
  // The second line is that of the children: `0m1.230000s 0m0.010000s`.
  const fields =
    said
      .trim()
      .split('\n')
      .at(-1)
      ?.matchAll(/(\d+)m([\d.]+)s/g) ?? []
  return [...fields].reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds), 0)
}
