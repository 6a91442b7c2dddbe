// The compiled mapping, and the stylesheet written from it, give the same documents: by SaxonJS, and by xsltproc where it is installed.
// SEED=… makes others, CASES=… sets their number.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { XmlC14NMode, XmlDocument } from 'libxml2-wasm'
import t from 'tap'
import { Fault } from '#protocol/base/mod.ts'
import { randomFrom } from '../../../support/testing.ts'
import { XmlParser } from '../../../xml/mod.ts'
import { saxonEngine } from '../../xslt/mod.ts'
import type { Expression, Mapping } from '../ast.ts'
import { compileMapping } from '../compile.ts'
import { readMapping, writeMapping } from '../notation/mod.ts'
import { generateXslt } from './generate.ts'
import { importXslt } from './import.ts'
import { Maker } from './testing.ts'
import { treeReader } from './tree.ts'

const seed = Number(process.env.SEED ?? 22_001)
const CASES = Number(process.env.CASES ?? 200)
const DOCUMENTS = 2

const readTree = await treeReader()
const saxon = saxonEngine(readTree)

function canonical(xml: string): string {
  const document = XmlDocument.fromString(xml)
  try {
    return document.canonicalizeToString({ mode: XmlC14NMode.XML_C14N_1_0 })
  } finally {
    document.dispose()
  }
}

/** The document in canonical form, or that it was refused, or what is wrong. */
function outcome(make: () => string): string {
  try {
    return canonical(make())
  } catch (error) {
    if (!(error instanceof Fault)) return `${error}`
    return error.code === 'MAPPING_STOPPED' || error.code === 'XSLT_TERMINATED' ? 'stopped' : error.describe()
  }
}

/** The notation has no words for some conditions in paths. */
function outcomeOf<T>(make: () => T): T | Fault {
  try {
    return make()
  } catch (error) {
    if (error instanceof Fault && /no words for/.test(error.message)) return error
    throw error
  }
}

const folder = mkdtempSync(join(tmpdir(), 'causeway-xslt-'))
t.teardown(() => rmSync(folder, { recursive: true }))

const xsltproc = (() => {
  try {
    execFileSync('xsltproc', ['--version'], { stdio: 'ignore' })
    return (stylesheet: string, document: string): string => {
      const file = join(folder, 'x.xsl')
      writeFileSync(file, stylesheet)
      try {
        return canonical(
          execFileSync('xsltproc', ['--nonet', file, '-'], { input: document, encoding: 'utf8', stdio: 'pipe' }),
        )
      } catch (error) {
        return (error as { status?: number }).status === 10 ? 'stopped' : `${(error as Error).message}`
      }
    }
  } catch {
    return null
  }
})()

t.setTimeout(800_000)

t.test(`mapping and stylesheet agree (SEED=${seed})`, async (t) => {
  t.comment(`SEED=${seed} CASES=${CASES}`)
  const maker = new Maker(randomFrom(seed))
  let compared = 0
  let differences = 0
  const kinds = { documents: 0, stopped: 0, refused: 0, written: 0 }
  for (let i = 0; i < CASES && differences < 5; i += 1) {
    const mapping = maker.mapping()
    const documents = Array.from({ length: DOCUMENTS }, () => maker.document())
    const compiled = compileMapping(mapping)
    const parser = new XmlParser(compiled.names)
    const text = generateXslt(mapping)
    const stylesheet = saxon.compile({ text, compiled: false, path: null })
    const imported = importXslt(text, readTree)
    if (!imported.ok) {
      differences += 1
      console.error(`case ${i}: not imported: line ${imported.line}: ${imported.why}\n${text}`)
      continue
    }
    const again = compileMapping(imported.mapping)
    const written = outcomeOf(() => readMapping(JSON.parse(JSON.stringify(writeMapping(mapping)))))
    const fromNotation = written instanceof Fault ? null : compileMapping(written)
    const parserOfNotation = fromNotation === null ? null : new XmlParser(fromNotation.names)
    if (fromNotation !== null) kinds.written += 1
    const parserAgain = new XmlParser(again.names)
    for (const document of documents) {
      const mapped = outcome(() => compiled.map(parser.parse(document)))
      kinds[mapped.startsWith('<') ? 'documents' : mapped === 'stopped' ? 'stopped' : 'refused'] += 1
      const results: Record<string, string> = { SaxonJS: outcome(() => stylesheet.transform(document, new Map())) }
      results['the imported stylesheet'] = outcome(() => again.map(parserAgain.parse(document)))
      if (fromNotation !== null && parserOfNotation !== null)
        results['written and read again'] = outcome(() => fromNotation.map(parserOfNotation.parse(document)))
      // A process each: for one of the documents.
      if (xsltproc !== null && document === documents[0] && !text.includes('replace('))
        results.xsltproc = xsltproc(text, document)
      for (const [by, result] of Object.entries(results)) {
        compared += 1
        if (result === mapped) continue
        differences += 1
        // Not as the name of an assertion: the runner loses those that are long, and all that come after them.
        console.error(`case ${i}: ${by}\n${document}\n${text}\ngives  ${result}\nwanted ${mapped}\n`)
      }
    }
  }
  t.comment(`${JSON.stringify(kinds)}, ${compared} comparisons`)
  t.equal(differences, 0, 'all agree')
  t.equal(kinds.refused, 0)
  t.ok(kinds.written > CASES / 3)
  t.ok(kinds.documents > kinds.stopped)
  t.ok(compared >= 3 * CASES, `${compared} compared`)
  if (xsltproc === null) t.comment('xsltproc is not installed: compared with SaxonJS alone')
})

t.test('all sort text by code point, which SaxonJS does when it is told to', (t) => {
  const value: Expression = { kind: 'value', path: { absolute: false, up: 0, steps: [], attribute: null } }
  const name = (local: string) => ({ prefix: '', local, uri: '' })
  const steps = [name('a'), name('b')].map((each) => ({ name: each, where: null, position: null }))
  const mapping: Mapping = {
    tables: {},
    root: {
      kind: 'element',
      name: name('r'),
      attributes: [],
      children: [
        {
          kind: 'forEach',
          path: { absolute: true, up: 0, steps, attribute: null },
          sort: [{ by: value, as: 'text', descending: false }],
          children: [{ kind: 'text', value }],
        },
      ],
    },
  }
  const document = '<a><b>b</b><b>A</b><b>\u{20000}</b><b>\uff0c</b><b>税</b></a>'
  const compiled = compileMapping(mapping)
  const text = generateXslt(mapping)
  const byCodePoint = '<r>Ab税\uff0c\u{20000}</r>'
  t.equal(
    outcome(() => compiled.map(new XmlParser(compiled.names).parse(document))),
    byCodePoint,
  )
  if (xsltproc !== null) t.equal(xsltproc(text, document), byCodePoint)
  const engine = saxon.compile({ text, compiled: false, path: null })
  t.equal(
    outcome(() => engine.transform(document, new Map())),
    byCodePoint,
  )
  t.end()
})
