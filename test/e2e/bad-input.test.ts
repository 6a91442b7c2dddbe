// What breaks transformations elsewhere, sent through a pipeline of the hub among good messages: each bad one is dead as it came in, with a
// code, the step, and what to do; its neighbours pass, and the hub's memory stays where it was.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32, deflateRawSync, gzipSync } from 'node:zlib'
import t from 'tap'
import { askHub } from '#hub/management/mod.ts'
import { bringFiles } from '#hub/router/mod.ts'
import { bodiesOf, eventually, localHub } from './support.ts'

const MIB = 1024 * 1024
const ENDLESS = `<xsl:stylesheet version="3.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><xsl:if test="/r/@loop = 'yes'"><xsl:call-template name="again"/></xsl:if><done/></xsl:template>
<xsl:template name="again"><xsl:for-each select="1 to 1000000000"><xsl:if test=". = -1"><x/></xsl:if></xsl:for-each></xsl:template>
</xsl:stylesheet>`

const GREEDY = `<xsl:stylesheet version="3.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/"><xsl:variable name="all" select="for $i in 1 to xs:integer(/r/@n) return concat('text ', $i)" xmlns:xs="http://www.w3.org/2001/XMLSchema"/>
<done><xsl:value-of select="count($all) + string-length(string-join($all, ','))"/></done></xsl:template>
</xsl:stylesheet>`

/** Topic → steps of its pipeline. */
const pipelines: Record<string, object[]> = {
  xml: [{ mapping: { mapping: { root: { out: 'r' } } } }],
  csv: [{ convert: { from: { csv: {} }, to: { json: {} } } }],
  json: [{ jsonata: { expression: '$' } }],
  gzip: [{ decompress: { format: 'gzip', bytesMax: '4MiB' } }],
  zip: [{ decompress: { format: 'zip', bytesMax: '4MiB' } }],
  xslt: [{ xslt: { file: 'endless.xsl', engine: 'saxon' } }],
  greedy: [{ xslt: { file: 'greedy.xsl', engine: 'saxon' } }],
  script: [
    { script: { content: 'text', script: 'function process(item) { while (item.text === "loop"); return item }' } },
  ],
}

const bomb = `<!DOCTYPE r [<!ENTITY a "${'x'.repeat(1000)}">${Array.from({ length: 9 }, (_, i) => `<!ENTITY ${String.fromCharCode(98 + i)} "${`&${String.fromCharCode(97 + i)};`.repeat(10)}">`).join('')}]><r>&j;</r>`
const xml = 'application/xml'

const bad: readonly { topic: string; what: string; type: string; body: Buffer | string; reason: RegExp }[] = [
  {
    topic: 'xml',
    what: 'not well-formed',
    type: xml,
    body: '<r><a></r>',
    reason: /^XML_NOT_WELL_FORMED: rule xml, step 1 mapping at line 1, column \d+: /,
  },
  {
    topic: 'xml',
    what: 'an external entity',
    type: xml,
    body: '<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/passwd">]><r>&e;</r>',
    reason: /^XML_DTD_REFUSED/,
  },
  { topic: 'xml', what: 'an entity bomb', type: xml, body: bomb, reason: /^XML_DTD_REFUSED/ },
  {
    topic: 'xml',
    what: '10,000 levels',
    type: xml,
    body: `<r>${'<a>'.repeat(10_000)}${'</a>'.repeat(10_000)}</r>`,
    reason: /^XML_TOO_COMPLEX/,
  },
  {
    topic: 'xml',
    what: 'a wrong charset declaration',
    type: xml,
    body: Buffer.from('<?xml version="1.0" encoding="UTF-8"?><r>\xb9\xfa</r>', 'latin1'),
    reason: /^XML_[A-Z_]+: /,
  },
  { topic: 'xml', what: 'NUL', type: xml, body: '<r>\0</r>', reason: /^XML_NOT_WELL_FORMED/ },
  {
    topic: 'xml',
    what: 'a lone surrogate in UTF-8',
    type: xml,
    body: Buffer.from([0x3c, 0x72, 0x3e, 0xed, 0xa0, 0x80, 0x3c, 0x2f, 0x72, 0x3e]),
    reason: /^XML_[A-Z_]+: /,
  },
  {
    topic: 'csv',
    what: 'a ragged row',
    type: 'text/csv',
    body: 'a,b\n1,2\n3\n',
    reason: /^CSV_COLUMNS: rule csv, step 1 convert.*line 3/,
  },
  { topic: 'json', what: 'half a document', type: 'application/json', body: '{"a":', reason: /^JSON_INVALID/ },
  {
    topic: 'gzip',
    what: 'a gzip bomb',
    type: 'application/gzip',
    body: gzipSync(Buffer.alloc(64 * MIB)),
    reason: /^[A-Z_]+: rule gzip, step 1 decompress/,
  },
  {
    topic: 'zip',
    what: 'a zip bomb',
    type: 'application/zip',
    body: zipOf('a', Buffer.alloc(64 * MIB)),
    reason: /^[A-Z_]+: rule zip, step 1 decompress/,
  },
  {
    topic: 'zip',
    what: 'a member that climbs out',
    type: 'application/zip',
    body: zipOf('../a', Buffer.from('x')),
    reason: /^[A-Z_]+: rule zip, step 1 decompress/,
  },
  {
    topic: 'xslt',
    what: 'a stylesheet that loops for ever',
    type: xml,
    body: '<r loop="yes"/>',
    reason: /^ISOLATED_TIMEOUT: rule xslt, step 1 xslt/,
  },
  {
    topic: 'greedy',
    what: 'a stylesheet that takes all memory',
    type: xml,
    body: '<r n="900000000"/>',
    reason: /^ISOLATED_(?:MEMORY|TIMEOUT): rule greedy, step 1 xslt/,
  },
  {
    topic: 'script',
    what: 'a script that loops for ever',
    type: 'text/plain',
    body: 'loop',
    reason: /^SCRIPT_TIMEOUT: rule script, step 1 script/,
  },
]

const good: Readonly<Record<string, readonly [type: string, body: Buffer | string]>> = {
  xml: [xml, '<r>ok</r>'],
  csv: ['text/csv', 'a\n90071992547409931\n'],
  json: ['application/json', '{"a":90071992547409931}'],
  gzip: ['application/gzip', gzipSync('ok')],
  zip: ['application/zip', zipOf('a', Buffer.from('ok'))],
  xslt: [xml, '<r/>'],
  greedy: [xml, '<r n="3"/>'],
  script: ['text/plain', 'ok'],
}

t.test('each is dead with its reason and its bytes, and its neighbours pass', async (t) => {
  const hub = await localHub(t, {
    config: { queues: [{ name: 'made' }], routing: { timeMs: '8s', memoryBytes: '192MiB' } },
  })
  const client = await hub.client('office')
  const folder = join(hub.dir, 'rules')
  mkdirSync(folder)
  writeFileSync(join(folder, 'endless.xsl'), ENDLESS)
  writeFileSync(join(folder, 'greedy.xsl'), GREEDY)
  const topics = Object.keys(pipelines)
  const rules = {
    rules: topics.map((name) => ({ name, topics: name, pipeline: name, to: 'made' })),
    pipelines: Object.fromEntries(topics.map((name) => [name, { steps: pipelines[name] }])),
  }
  writeFileSync(join(folder, 'rules.json'), JSON.stringify(rules))
  const brought = await bringFiles(join(hub.dataDir, 'routes'), join(folder, 'rules.json'))
  const deployed = await askHub(hub.dataDir, { command: 'deploy', ...brought, by: '', note: '' })
  t.match(deployed, { version: 1 }, JSON.stringify(deployed))
  const publisher = client.publisher({ stream: 's' })
  const publish = (topic: string, type: string, body: Buffer | string) =>
    publisher.publish({ topic, headers: { ':content-type': type }, body: Buffer.from(body) })
  const sent: Promise<unknown>[] = []
  for (const { topic, type, body } of bad) {
    const [goodType, goodBody] = good[topic] as (typeof good)[string]
    sent.push(publish(topic, goodType, goodBody), publish(topic, type, body), publish(topic, goodType, goodBody))
  }
  await Promise.all(sent)
  const subscription = await client.subscribe({ queue: 'made' })
  const made = await bodiesOf(subscription, 2 * bad.length)
  t.equal(made.filter((body) => body.includes('90071992547409931')).length, 4, 'numbers beyond 2^53 keep every digit')
  await eventually('all bad ones are dead', () => hub.queue('$dead').depth === bad.length)
  const peeked = await askHub<{ messages: { topic: string; reason: string }[] }>(hub.dataDir, {
    command: 'peek',
    queue: '$dead',
    limit: 100,
    filter: {},
  })
  const dead = await client.subscribe({ queue: '$dead' })
  const found = new Map<string, string>()
  for (let count = 0; count < bad.length; ) {
    const delivery = await dead.next()
    if (delivery === null) throw new Error('closed')
    for (const { body } of delivery) found.set(body.toString('base64'), '')
    count += delivery.count
    delivery.settle()
  }
  for (const { what, topic, body, reason } of bad) {
    t.ok(found.has(Buffer.from(body).toString('base64')), `${what}: its bytes are there`)
    t.ok(
      peeked.messages.some((one) => one.topic === topic && reason.test(one.reason)),
      `${what}: ${reason}`,
    )
  }
})

/** A zip archive with one member, by hand: what writes archives refuses such names. */
function zipOf(name: string, content: Buffer): Buffer {
  const packed = deflateRawSync(content)
  const fields = Buffer.alloc(26)
  fields.writeUInt16LE(20, 0)
  fields.writeUInt16LE(8, 4)
  fields.writeUInt32LE(crc32(content), 10)
  fields.writeUInt32LE(packed.length, 14)
  fields.writeUInt32LE(content.length, 18)
  fields.writeUInt16LE(name.length, 22)
  const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), fields, Buffer.from(name), packed])
  const central = Buffer.concat([
    Buffer.from('PK\x01\x02\x14\0', 'latin1'),
    fields,
    Buffer.alloc(14),
    Buffer.from(name),
  ])
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(1, 8)
  end.writeUInt16LE(1, 10)
  end.writeUInt32LE(central.length, 12)
  end.writeUInt32LE(local.length, 16)
  return Buffer.concat([local, central, end])
}
