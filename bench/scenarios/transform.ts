// XML documents to XML documents by a mapping: ours, by the compiled mapping and through the channel, beside xsltproc and SaxonJS with the
// stylesheet generated from the same mapping and one written by hand. Per second of processor time, so that each has one core.

import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compileMapping, parseMapping } from '#agent/components/channel/mapping/mod.ts'
import { generateXslt } from '#agent/components/channel/mapping/xslt/generate.ts'
import { complete, startRole, stop } from '../children.ts'
import { peersAreShortened, programToMeasure } from '../peers/choose.ts'
import { transformOnce, xsltprocConditions, xsltprocRate } from '../peers/xsltproc.ts'
import { isShortened, type Say, type ScenarioResult, TIMES, timesText } from '../report.ts'
import { freshFolder } from '../stage.ts'
import type { Way } from '../transform/ways.ts'
import { RECORDS, sampleDocument, type Work, works } from '../transform/work.ts'

const XSLTPROC = 'xsltproc'
const SAXON = 'saxon-js'

type Rates = Record<string, number>
type Said = { documents: number; cpuSeconds: number; result: string }

export async function transform(say: Say): Promise<ScenarioResult> {
  const document = sampleDocument()
  const folder = freshFolder('transform')
  const withPeers = process.env.PEERS !== 'none'
  const ours: Rates = {}
  const peers: Record<string, Rates> = { [XSLTPROC]: {}, [SAXON]: {} }
  const ratios: number[] = []
  const missing = await programToMeasure(XSLTPROC, say)
  try {
    const file = join(folder.dir, 'document.xml')
    writeFileSync(file, document)
    for (const work of works) {
      const sheets = writeSheets(folder.dir, work)
      const mapped = await inRole('mapping', work, '')
      ours[measure(work)] = perSecond(mapped)
      ours[`${work.name}: through the channel`] = perSecond(await inRole('channel', work, ''))
      say(`${work.name}: ${shownRate(ours[measure(work)] as number, document)}`)
      if (missing[XSLTPROC] === undefined) {
        const rates: number[] = []
        for (const [kind, sheet] of Object.entries(sheets)) {
          const out = join(folder.dir, 'out.xml')
          await transformOnce(sheet, file, out)
          checkSame(`${XSLTPROC}, ${work.name}, ${kind}`, mapped.result, readFileSync(out, 'utf8'))
          const rate = await xsltprocRate(sheet, file, TIMES.measuredMs)
          say(`${work.name}: xsltproc, stylesheet ${kind}: ${shownRate(rate, document)}`)
          rates.push(rate)
        }
        const best = Math.max(...rates)
        ;(peers[XSLTPROC] as Rates)[measure(work)] = best
        ratios.push((ours[measure(work)] as number) / best)
      }
      if (withPeers) {
        const compiled = join(folder.dir, `${work.name}.sef.json`)
        const xslt3 = join(import.meta.dirname, '../../node_modules/xslt3/xslt3.js')
        await complete(process.execPath, [xslt3, `-xsl:${sheets['by hand']}`, `-export:${compiled}`, '-nogo'])
        const saxon = await inRole('saxon', work, readFileSync(compiled, 'utf8'))
        checkSame(`${SAXON}, ${work.name}`, mapped.result, saxon.result)
        ;(peers[SAXON] as Rates)[measure(work)] = perSecond(saxon)
      }
    }
  } finally {
    folder.remove()
  }
  const got = ratios.length === 0 ? null : Math.min(...ratios)
  return {
    scenario: 'transform',
    unit: 'documents per second of processor time',
    params: {
      document: `${document.length} bytes, ${RECORDS} records, UTF-8 with Chinese`,
      work: 'fields: other names and places; functions: a code table, numbers, dates, conditions and sorting besides',
      counted: 'bytes in to bytes out: decoding, parsing, mapping, writing; the results of all are the same',
      processes: 'one each, one thread',
      time: `${timesText()}, of processor time`,
    },
    ours,
    peers,
    missing,
    conditions: {
      [XSLTPROC]: `${xsltprocConditions}; the faster of the stylesheet generated from the mapping and one written by hand`,
      [SAXON]: 'SaxonJS.transform with the stylesheet written by hand, compiled beforehand; from text to text',
    },
    targets: [{ name: 'xsltproc-ratio', want: '>= 1', got, ok: got === null ? null : got >= 1 }],
    notes: [],
    shortened: isShortened || peersAreShortened,
  }
}

const measure = ({ name }: Work): string => name
const perSecond = ({ documents, cpuSeconds }: Said): number => documents / cpuSeconds
const shownRate = (rate: number, document: Buffer): string =>
  `${Math.round(rate)} documents/s, ${((rate * document.length) / 1e6).toFixed(1)} MB/s`

function writeSheets(dir: string, { name, mapping, stylesheet }: Work): Record<string, string> {
  const parsed = parseMapping(mapping, name)
  compileMapping(parsed)
  const sheets = { 'by hand': stylesheet, generated: generateXslt(parsed) }
  return Object.fromEntries(
    Object.entries(sheets).map(([kind, text]) => {
      const path = join(dir, `${name}-${kind.replaceAll(' ', '-')}.xsl`)
      writeFileSync(path, text)
      return [kind, path]
    }),
  )
}

async function inRole(way: Way, work: Work, compiledStylesheet: string): Promise<Said> {
  const child = startRole('mapper', { way, work: work.name, compiledStylesheet, ...TIMES })
  const failed = once(child, 'exit').then(() => {
    throw new Error(`${way}: it ended by itself`)
  })
  try {
    const [said] = await Promise.race([once(child, 'message'), failed])
    return said as Said
  } finally {
    // It ends now, because it is told to.
    failed.catch(() => undefined)
    await stop(child, 'SIGKILL')
  }
}

/** None may be faster by doing something else. Declarations and white space around differ. */
function checkSame(who: string, ours: string, theirs: string): void {
  const plain = (text: string): string => text.replace(/^<\?xml.*?\?>/, '').trim()
  if (plain(ours) !== plain(theirs)) throw new Error(`${who} gives something else than the mapping`)
}
