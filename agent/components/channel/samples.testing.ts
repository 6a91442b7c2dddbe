// Every channel with settings, a row that passes and one that it refuses: what the contract suite works on.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Row } from '../contract.ts'

export type Sample = {
  readonly name: string
  readonly type: string
  readonly settings: object
  readonly good: Row
  readonly bad: Row
}

const XSL = 'version="3.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"'
const XSD = 'xmlns:xs="http://www.w3.org/2001/XMLSchema"'

export const samples: readonly Sample[] = [
  {
    name: 'map direct',
    type: 'map',
    settings: { rename: { key: 'id' } },
    good: { id: 1 },
    bad: { x: 1 },
  },
  {
    name: 'map general',
    type: 'map',
    settings: { expressions: { n: '$number(id)' } },
    good: { id: '1' },
    bad: { id: 'x' },
  },
  {
    name: 'filter direct',
    type: 'filter',
    settings: { where: 'id > 0' },
    good: { id: 1 },
    bad: { id: true },
  },
  {
    name: 'filter general',
    type: 'filter',
    settings: { where: '$number(id) = 1' },
    good: { id: '1' },
    bad: { id: 'x' },
  },
  {
    name: 'jsonata',
    type: 'jsonata',
    settings: { expression: '$number(n)', field: 'id' },
    good: { id: '{"n":"1"}' },
    bad: { id: '{' },
  },
  {
    name: 'xquery',
    type: 'xquery',
    settings: { query: '<b>{ string(a) }</b>', field: 'id' },
    good: { id: '<a>1</a>' },
    bad: { id: '<a>' },
  },
  {
    name: 'validate xsd',
    type: 'validate',
    settings: { xsd: `<xs:schema ${XSD}><xs:element name="a" type="xs:int"/></xs:schema>`, field: 'id' },
    good: { id: '<a>1</a>' },
    bad: { id: '<a>x</a>' },
  },
  {
    name: 'validate json',
    type: 'validate',
    settings: { jsonSchema: { type: 'integer' }, field: 'id' },
    good: { id: '1' },
    bad: { id: '"x"' },
  },
  {
    name: 'encode',
    type: 'encode',
    settings: { encoding: 'hex', direction: 'decode', field: 'id' },
    good: { id: 'ff' },
    bad: { id: 'x' },
  },
  {
    name: 'compress',
    type: 'compress',
    settings: { format: 'gzip', field: 'id' },
    good: { id: 'x' },
    bad: { id: 1 },
  },
  {
    name: 'decompress',
    type: 'decompress',
    settings: { field: 'id' },
    good: { id: gzipSync('x') },
    bad: { id: 'x' },
  },
  {
    name: 'mapping',
    type: 'mapping',
    settings: { mapping: { root: { b: 'a' } }, field: 'id' },
    good: { id: '<a/>' },
    bad: { id: '<a>' },
  },
  {
    name: 'xslt',
    type: 'xslt',
    settings: {
      stylesheet: `<xsl:stylesheet ${XSL}><xsl:template match="/"><b/></xsl:template></xsl:stylesheet>`,
      field: 'id',
    },
    good: { id: '<a/>' },
    bad: { id: '<a>' },
  },
  {
    name: 'convert',
    type: 'convert',
    settings: { from: { csv: {} }, to: { json: {} }, field: 'id' },
    good: { id: 'a,b\n1,2\n' },
    bad: { id: 'a,b\n1\n' },
  },
  {
    name: 'convert rows',
    type: 'convert',
    settings: { from: { rows: {} }, to: { rows: {} }, numbers: { id: {} } },
    good: { id: '1' },
    bad: { id: 'x' },
  },
  {
    name: 'convert xml',
    type: 'convert',
    settings: { from: { xml: {} }, to: { json: { single: true } }, field: 'id' },
    good: { id: '<a/>' },
    bad: { id: '<a>' },
  },
  {
    name: 'convert json',
    type: 'convert',
    settings: { from: { json: {} }, to: { xml: { path: '/l/i' } }, field: 'id' },
    good: { id: '[{"a":1}]' },
    bad: { id: '[1]' },
  },
  {
    name: 'convert fixed',
    type: 'convert',
    settings: {
      from: { fixed: { columns: [{ name: 'a', width: 2 }] } },
      to: { fixed: { columns: [{ name: 'a', width: 3 }] } },
      field: 'id',
    },
    good: { id: 'ab\r\n' },
    bad: { id: 'abc\r\n' },
  },
  {
    name: 'convert xlsx',
    type: 'convert',
    settings: { from: { xlsx: {} }, to: { xlsx: {} }, field: 'id' },
    good: { id: readFileSync(join(import.meta.dirname, 'convert/xlsx/vectors/openpyxl.xlsx')) },
    bad: { id: 'x' },
  },
  {
    name: 'convert text',
    type: 'convert',
    settings: { from: { text: {} }, to: { text: { encoding: 'gbk' } }, field: 'id' },
    good: { id: '中' },
    bad: { id: '𠮷' },
  },
  {
    name: 'envelope',
    type: 'envelope',
    settings: { format: 'soap', direction: 'wrap', field: 'id' },
    good: { id: '<a/>' },
    bad: { id: '<a>' },
  },
  {
    name: 'envelope form',
    type: 'envelope',
    settings: { format: 'form', direction: 'wrap', field: 'id', documentName: 'scan' },
    good: { id: 'a', form: { n: 1 } },
    bad: { id: 'a', form: { n: { m: 1 } } },
  },
  {
    name: 'script',
    type: 'script',
    settings: {
      script: "function process(item) { if (item.row.id === 'x') throw new Error('it is x'); return item }",
    },
    good: { id: 'a' },
    bad: { id: 'x' },
  },
  {
    name: 'split',
    type: 'split',
    settings: { by: { array: { name: 'id' } } },
    good: { id: [1] },
    bad: { id: 1 },
  },
  {
    name: 'enrich',
    type: 'enrich',
    settings: { key: 'id', from: { inline: { table: { a: 1 } } } },
    good: { id: 'a' },
    bad: { id: 'b' },
  },
]

/** Those that see all items in order, and may keep something; `rows` of which the first part is given before a restart. */
export type KeepingSample = Pick<Sample, 'name' | 'type' | 'settings'> & { readonly rows: readonly Row[] }

export const keepingSamples: readonly KeepingSample[] = [
  {
    name: 'merge',
    type: 'merge',
    settings: { key: 'k', as: { row: {} }, count: 3 },
    rows: Array.from({ length: 24 }, (_, i) => ({ k: i % 4, i })),
  },
  {
    name: 'deduplicate',
    type: 'deduplicate',
    settings: { key: 'k', duplicates: 'reject' },
    rows: Array.from({ length: 24 }, (_, i) => ({ k: (i * 7) % 11, i })),
  },
  {
    name: 'throttle',
    type: 'throttle',
    settings: { items: 1_000_000 },
    rows: Array.from({ length: 24 }, (_, i) => ({ i })),
  },
]
