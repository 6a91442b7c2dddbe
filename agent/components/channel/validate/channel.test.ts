import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import type { Item } from '../../contract.ts'
import { collector, faultOf, itemsOf, settingsOf, testContext } from '../../support/testing.ts'
import { ValidateChannel, validateSettings, validateTurns } from './mod.ts'

const make = (root: string, settings: object): ValidateChannel =>
  new ValidateChannel(settingsOf(validateSettings, settings), testContext(root))

const fileOf = (text: string | Buffer, ref = 1): Item => ({
  row: { name: 'a', size: text.length, modified: null, mediaType: null },
  ref,
  content: { kind: 'bytes', bytes: Buffer.from(text) },
})

function folderOf(t: Test, files: Readonly<Record<string, string | Buffer>>): string {
  const root = t.testdir({})
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return root
}

const schema = (text: string, attributes = ''): string =>
  `<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" ${attributes}>${text}</xs:schema>`

const COMMON = schema(
  '<xs:simpleType name="code"><xs:restriction base="xs:string"><xs:pattern value="[0-9]{4}"/></xs:restriction></xs:simpleType>',
)
const REGISTER = schema(`<xs:include schemaLocation="../公共/types.xsd"/>
  <xs:element name="reg"><xs:complexType><xs:sequence>
    <xs:element name="org" maxOccurs="unbounded"><xs:complexType>
      <xs:sequence><xs:element name="name" type="xs:string"/></xs:sequence>
      <xs:attribute name="id" type="code" use="required"/>
    </xs:complexType></xs:element>
  </xs:sequence></xs:complexType></xs:element>`)

t.test('XML documents by a schema of several files, with lines of what is wrong', async (t) => {
  const root = folderOf(t, { '表 1/reg/main.xsd': REGISTER, '表 1/公共/types.xsd': COMMON })
  const channel = make(root, { xsdFile: '表 1/reg/main.xsd' })
  await channel.open()
  const good = fileOf('<reg><org id="0001"><name>通衢</name></org></reg>', 1)
  const gbk = fileOf(
    Buffer.from('<?xml version="1.0" encoding="GBK"?><reg><org id="0001"><name>\xd6\xd0</name></org></reg>', 'latin1'),
    2,
  )
  const bad = fileOf('<reg>\n<org id="0001"><name/></org>\n<org id="x"><name/>\n<more/></org></reg>', 3)
  const { rejects, reject } = collector()
  t.same(await channel.process([good, gbk, bad, good], reject), [good, gbk, good])
  t.equal(rejects.length, 1)
  t.match(rejects[0]?.fault.toJSON(), {
    code: 'VALIDATE_INVALID',
    line: 3,
    column: 1,
    where: '/reg/org[2], line 3, column 1',
    count: 2,
    violations: [
      { at: '/reg/org[2]', line: 3, column: 1, message: /'x' is not accepted by the pattern/ },
      { line: 4, column: 1 },
    ],
  })
  await channel.close()
})

t.test('the place of an element among others, in namespaces, beside comments and long tags', async (t) => {
  const xsd = `<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:n" elementFormDefault="qualified"><xs:element name="r"><xs:complexType mixed="true"><xs:sequence maxOccurs="unbounded"><xs:element name="n" type="xs:int"/></xs:sequence></xs:complexType></xs:element></xs:schema>`
  const channel = make(t.testdir({}), { xsd })
  const place = async (document: string) => {
    const { rejects, reject } = collector()
    await channel.process([fileOf(document)], reject)
    const details = rejects[0]?.fault.details as
      | { violations: { at: string; line: number; column: number }[] }
      | undefined
    const { at, line, column } = details?.violations[0] ?? {}
    return [at, line, column]
  }
  t.same(await place('<r xmlns="urn:n"><n>1</n><!-- 表 --> 𠮷<n>x</n></r>'), ['/*/*[2]', 1, 38])
  t.same(await place('<p:r xmlns:p="urn:n"><p:n>1</p:n>\r\n <p:n\n>x</p:n><q:n xmlns:q="urn:n">2</q:n></p:r>'), [
    '/p:r/p:n[2]',
    2,
    2,
  ])
  t.same(await place('<p:r xmlns:p="urn:n"><q:n xmlns:q="urn:n">1</q:n><p:n>y</p:n></p:r>'), ['/p:r/p:n', 1, 50])
  t.same(await place('<x/>'), ['/x', 1, 1])
  await channel.close()
})

t.test('of many violations the first ten are told', async (t) => {
  const channel = make(t.testdir({}), { xsd: REGISTER.replace(/<xs:include[^>]*>/, '').replace('"code"', '"xs:int"') })
  const { rejects, reject } = collector()
  await channel.process([fileOf(`<reg>${'<org id="x"><name/></org>'.repeat(500)}</reg>`)], reject)
  const details = rejects[0]?.fault.details as { violations: unknown[]; count: number }
  t.equal(details.violations.length, 10)
  t.equal(details.count, 500)
  t.match(rejects[0]?.fault.message, /and 499 more/)
  await channel.close()
})

t.test('a schema reaches only files of its folder and that of the flow', async (t) => {
  const importing = (location: string): string =>
    schema(`<xs:import namespace="urn:x" schemaLocation="${location}"/><xs:element name="a"/>`)
  const root = folderOf(t, {
    'out.xsd': COMMON,
    'flows/link.xsd': importing('linked.xsd'),
    'flows/up.xsd': importing('../out.xsd'),
    'flows/net.xsd': importing('http://127.0.0.1:1/x.xsd'),
    'flows/none.xsd': importing('nowhere.xsd'),
    'flows/bomb.xsd': importing('dtd.xsd'),
    'flows/dtd.xsd': `<!DOCTYPE x [<!ENTITY a "b">]>${COMMON}`,
    'flows/type.xsd': schema('<xs:element name="a"\n type="none"/>'),
    'flows/text.xsd': 'no schema',
    'flows/latin.xsd': Buffer.from(
      `<?xml version="1.0" encoding="iso-8859-1"?>${schema('<xs:element name="\xe9"/>')}`,
      'latin1',
    ),
  })
  symlinkSync(join(root, 'out.xsd'), join(root, 'flows', 'linked.xsd'))
  const codeAt = async (xsdFile: string): Promise<unknown> => {
    const channel = make(join(root, 'flows'), { xsdFile })
    try {
      return (await faultOf(() => channel.open()))?.code
    } finally {
      await channel.close()
    }
  }
  t.equal(await codeAt('link.xsd'), 'VALIDATE_SCHEMA_REFUSED')
  t.equal(await codeAt('up.xsd'), 'VALIDATE_SCHEMA_REFUSED')
  t.equal(await codeAt('net.xsd'), 'VALIDATE_SCHEMA_REFUSED')
  t.equal(await codeAt('none.xsd'), 'VALIDATE_SCHEMA_UNREADABLE')
  t.equal(await codeAt('absent.xsd'), 'VALIDATE_SCHEMA_UNREADABLE')
  t.equal(await codeAt('bomb.xsd'), 'VALIDATE_SCHEMA_INVALID')
  t.equal(await codeAt('type.xsd'), 'VALIDATE_SCHEMA_INVALID')
  t.equal(await codeAt('text.xsd'), 'VALIDATE_SCHEMA_INVALID')
  t.equal(await codeAt('latin.xsd'), undefined)
  const hint = '<a xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:noNamespaceSchemaLocation="text.xsd"/>'
  const channel = make(join(root, 'flows'), { xsd: schema('<xs:element name="a"/>') })
  t.equal((await channel.process([fileOf(hint)], () => t.fail())).length, 1, 'what a document names is not read')
  await channel.close()
})

t.test('documents that are no documents have faults of their own', async (t) => {
  const channel = make(t.testdir({}), { xsd: schema('<xs:element name="a"/>'), bytesMax: 200_000 })
  const bad = [
    '<a>',
    '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    '<a>'.repeat(10_000) + '</a>'.repeat(10_000),
    Buffer.from('<?xml version="1.0" encoding="utf-8"?><a>\xd6\xd0</a>', 'latin1'),
    ' '.repeat(300_000),
  ]
  const { rejects, reject, codes } = collector()
  const good = fileOf('<a/>', 9)
  t.same(await channel.process([...bad.map((each, i) => fileOf(each, i)), { row: {}, ref: 8 }, good], reject), [good])
  t.same(codes(), [
    'XML_NOT_WELL_FORMED',
    'XML_DTD_REFUSED',
    'XML_TOO_COMPLEX',
    'XML_ENCODING',
    'DOCUMENT_TOO_LARGE',
    'DOCUMENT_MISSING',
  ])
  t.equal(rejects.length, 6)
  await channel.close()
})

const PERSON = {
  type: 'object',
  properties: { id: { type: 'integer' }, born: { type: 'string', format: 'date' }, kind: { enum: ['a', 'b'] } },
  required: ['id'],
  additionalProperties: false,
}

t.test('rows and JSON documents by a JSON Schema', async (t) => {
  const channel = make(t.testdir({}), { jsonSchema: PERSON })
  const rows = itemsOf([
    { id: 2n ** 60n, born: '2000-02-29' },
    { id: 1.5 },
    { id: 1, born: '2001-02-29', kind: 'c', x: 1 },
    {},
  ])
  const files = ['{"id": 9007199254740993}', '{"id": "1"}', '{"id": 1', '[]'].map((each, i) => fileOf(each, 10 + i))
  const { rejects, reject } = collector()
  t.same(await channel.process([...rows, ...files], reject), [rows[0], files[0]])
  t.match(
    rejects.map(({ item, fault }) => [item.ref, fault.code, fault.where]),
    [
      [2, 'VALIDATE_INVALID', '/id'],
      [3, 'VALIDATE_INVALID'],
      [4, 'VALIDATE_INVALID', null],
      [11, 'VALIDATE_INVALID', '/id'],
      [12, 'DOCUMENT_NOT_JSON', 'line 1, column 9'],
      [13, 'VALIDATE_INVALID', null],
    ],
  )
  const details = rejects[1]?.fault.details as { violations: { message: string }[] } | undefined
  const texts = details?.violations.map(({ message }) => message)
  t.same(texts?.toSorted(), [
    '/born must match format "date"',
    '/kind must be equal to one of the allowed values: ["a","b"]',
    'it must NOT have additional properties: "x"',
  ])
  const deep = make(t.testdir({}), {
    jsonSchema: { $ref: '#/$defs/a', $defs: { a: { items: { $ref: '#/$defs/a' } } } },
    field: 'f',
  })
  const nested = '['.repeat(200_000) + ']'.repeat(200_000)
  const { codes, reject: rejectDeep } = collector()
  t.equal((await deep.process(itemsOf([{ f: nested }, { f: '[[]]' }]), rejectDeep)).length, 1)
  t.same(codes(), ['VALIDATE_TOO_DEEP'])
})

t.test('schemas of JSON Schema: drafts, references to files beside, nothing else', async (t) => {
  const id = { $id: 'https://schemas.example/v1/main.json' }
  const root = folderOf(t, {
    'out.json': '{}',
    'flows/s/main.json': JSON.stringify({ properties: { p: { $ref: '../common/person.json#/$defs/p' } } }),
    'flows/common/person.json': JSON.stringify({
      $defs: { p: { type: 'object', properties: { q: { $ref: 'q.json' } } } },
    }),
    'flows/common/q.json': JSON.stringify({ type: 'string' }),
    'flows/named/main.json': JSON.stringify({ ...id, properties: { p: { $ref: 'q.json' } } }),
    'flows/named/q.json': JSON.stringify({ type: 'object', properties: { q: { type: 'string' } } }),
    'flows/relative/main.json': JSON.stringify({ $id: 'main.json', properties: { p: { $ref: 'sub/p.json' } } }),
    'flows/relative/sub/p.json': JSON.stringify({ $id: 'p.json', properties: { q: { $ref: 'q.json' } } }),
    'flows/relative/sub/q.json': JSON.stringify({ type: 'string' }),
    'flows/seven.json': JSON.stringify({
      $schema: 'http://json-schema.org/draft-07/schema#',
      definitions: { p: { type: 'object', properties: { q: { type: 'string' } } } },
      properties: { p: { $ref: '#/definitions/p' } },
    }),
  })
  const home = join(root, 'flows')
  for (const jsonSchemaFile of ['s/main.json', 'named/main.json', 'relative/main.json', 'seven.json']) {
    const channel = make(home, { jsonSchemaFile })
    await channel.open()
    const { reject, codes } = collector()
    const rows = itemsOf([{ p: { q: 'x' } }, { p: { q: 1 } }])
    t.same(await channel.process(rows, reject), [rows[0]], jsonSchemaFile)
    t.same(codes(), ['VALIDATE_INVALID'])
  }
  const codeOf = async (jsonSchema: unknown): Promise<unknown> =>
    (await faultOf(() => make(home, { jsonSchema }).open()))?.code
  t.equal(await codeOf({ $ref: '../out.json' }), 'VALIDATE_SCHEMA_REFUSED')
  t.equal(await codeOf({ $ref: 'none.json' }), 'VALIDATE_SCHEMA_UNREADABLE')
  t.equal(await codeOf({ $ref: 'http://127.0.0.1:1/x.json' }), 'VALIDATE_SCHEMA_REFUSED')
  t.equal(await codeOf({ ...id, $ref: 'https://other.example/x.json' }), 'VALIDATE_SCHEMA_REFUSED')
  t.equal(await codeOf({ tpye: 'object' }), 'VALIDATE_SCHEMA_INVALID', 'unknown words are mistakes')
  t.equal(await codeOf({ type: 'nothing' }), 'VALIDATE_SCHEMA_INVALID')
  t.equal(await codeOf({ pattern: '(' }), 'VALIDATE_SCHEMA_INVALID')
  t.equal(await codeOf({ format: 'none' }), 'VALIDATE_SCHEMA_INVALID')
  t.equal(await codeOf({ $schema: 'http://json-schema.org/draft-04/schema#' }), 'VALIDATE_SCHEMA_INVALID')
  t.equal(await codeOf(5), 'VALIDATE_SCHEMA_INVALID')
  t.equal(await codeOf(true), undefined)
})

t.test('one schema, and XML schemas for documents', async (t) => {
  for (const settings of [{}, { xsd: '<a/>', jsonSchema: {} }]) {
    t.not(await faultOf(() => settingsOf(validateSettings, settings)), null)
  }
  const xsd = settingsOf(validateSettings, { xsd: '<a/>' })
  t.equal(validateTurns(xsd, 'files'), 'files')
  t.equal((await faultOf(() => validateTurns(xsd, 'rows')))?.code, 'DOCUMENT_MISSING')
  t.equal(validateTurns(settingsOf(validateSettings, { jsonSchema: {} }), 'rows'), 'rows')
})

t.test('multiples are those of decimals, not of doubles', async (t) => {
  for (const $schema of ['https://json-schema.org/draft/2020-12/schema', 'http://json-schema.org/draft-07/schema#']) {
    const channel = make(t.testdir({}), { jsonSchema: { $schema, properties: { yuan: { multipleOf: 0.01 } } } })
    await channel.open()
    const { reject, rejects } = collector()
    const rows = itemsOf([0.07, 19.99, 1e21, -123456789.01, 3, 1.005, 5e-324, '0.001'].map((yuan) => ({ yuan })))
    const passed = await channel.process(rows, reject)
    t.same(
      passed.map(({ row }) => row.yuan),
      [0.07, 19.99, 1e21, -123456789.01, 3, '0.001'],
    )
    t.match(rejects[0]?.fault.message, /must be multiple of 0\.01/)
  }
})
