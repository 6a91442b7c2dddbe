import t from 'tap'
import type { Item, Row } from '../../contract.ts'
import { itemsOf } from '../../support/testing.ts'
import { SOAP_URIS } from './soap.ts'
import { bytesOf, fileOf, lines, runnerIn, textOf } from './testing.ts'

const run = runnerIn(t.testdir({}))
const unwrap = { format: 'soap', direction: 'unwrap' }
const wrap = { format: 'soap', direction: 'wrap' }
const S11 = SOAP_URIS['1.1']
const S12 = SOAP_URIS['1.2']

t.test('what is wrapped comes back byte by byte, the same twice', async (t) => {
  const documents = [
    '<a/>',
    '<a xmlns="urn:x" b=\'1 > 0\'>\r\n<!-- </a> --> <![CDATA[</a>]]><?p </a>?><b c="<>"/>\r通衢</a >'.replace(
      '"<>"',
      '"&lt;>"',
    ),
    '<p:a xmlns:p="urn:p" xmlns:q=\'urn:q\' q:t="p:v"><p:b/></p:a>',
  ]
  for (const document of documents) {
    for (const soapVersion of ['1.1', '1.2']) {
      for (const format of ['soap', 'swa', 'mtom']) {
        const settings = { ...wrap, soapVersion, format, action: 'urn:act' }
        const wrapped = await run(
          settings,
          fileOf(`\ufeff<?xml version="1.0"?>\n<!-- before -->${document}<!-- after -->\n`),
        )
        t.equal(wrapped.fault, '')
        const again = await run(settings, fileOf(document))
        t.ok(bytesOf(again.items[0]).equals(bytesOf(wrapped.items[0])))
        const { items, fault } = await run({ ...unwrap, format }, wrapped.items[0] as Item)
        t.equal(fault, '')
        t.equal(textOf(items[0]), document, `${format} ${soapVersion}`)
        t.match(items[0]?.row, { soapVersion, mediaType: 'application/xml', soapAction: 'urn:act' })
      }
    }
  }
})

t.test('content types of each version, by the letter', async (t) => {
  const typeOf = async (settings: object): Promise<unknown> =>
    (await run({ ...wrap, ...settings }, fileOf('<a/>'))).items[0]?.row.mediaType
  t.equal(await typeOf({}), 'text/xml; charset=utf-8')
  t.equal(await typeOf({ soapVersion: '1.2' }), 'application/soap+xml; charset=utf-8')
  t.equal(await typeOf({ soapVersion: '1.2', action: 'urn:a' }), 'application/soap+xml; charset=utf-8; action="urn:a"')
  t.match(await typeOf({ format: 'swa' }), /^multipart\/related; type="text\/xml"; start="<[^"]+>"; boundary=/)
  t.match(
    await typeOf({ format: 'mtom', soapVersion: '1.2', action: 'urn:a' }),
    /^multipart\/related; type="application\/xop\+xml"; start="<[^"]+>"; start-info="application\/soap\+xml"; action="urn:a"; boundary=/,
  )
  const inside = (await run({ ...wrap, headers: 'inside', action: 'urn:a' }, fileOf('<a/>'))).items[0]
  t.match(
    textOf(inside),
    /^MIME-Version: 1\.0\r\nContent-Type: text\/xml; charset=utf-8\r\nSOAPAction: "urn:a"\r\n\r\n<\?xml/,
  )
  const { items } = await run({ ...unwrap, headers: 'inside' }, inside as Item)
  t.match(items[0]?.row, { soapAction: 'urn:a' })
})

t.test('the body takes the namespaces in scope along; values of attributes stay as they are written', async (t) => {
  const message = `<?xml version='1.0'?><e:Envelope xmlns:e="${S11}" xmlns:x='urn:"x"' xmlns="urn:d" xmlns:u="urn:unused" xml:lang="zh"
   ><e:Body xmlns:y="urn:y&amp;z" xmlns:x="urn:inner"><r t="y:T"><x:c/></r></e:Body></e:Envelope>`
  const { items } = await run(unwrap, fileOf(message))
  t.equal(
    textOf(items[0]),
    '<r xmlns:x="urn:inner" xmlns="urn:d" xml:lang="zh" xmlns:y="urn:y&amp;z" t="y:T"><x:c/></r>',
  )
  const all = await run({ ...unwrap, namespaces: 'all' }, fileOf(message))
  t.equal(
    textOf(all.items[0]),
    `<r xmlns:e="${S11}" xmlns:x="urn:inner" xmlns="urn:d" xmlns:u="urn:unused" xml:lang="zh" xmlns:y="urn:y&amp;z" t="y:T"><x:c/></r>`,
  )
  const undeclared = `<e:Envelope xmlns:e="${S12}" xmlns="urn:d"><e:Body xmlns=""><r/></e:Body></e:Envelope>`
  t.equal(textOf((await run(unwrap, fileOf(undeclared))).items[0]), '<r/>')
})

t.test('header blocks: into fields and back', async (t) => {
  const message = `<s:Envelope xmlns:s="${S12}" xmlns:w="http://www.w3.org/2005/08/addressing"><s:Header>
    <w:MessageID s:mustUnderstand="true" s:role="urn:me"> urn:1 </w:MessageID><w:To>x</w:To></s:Header><s:Body><a/></s:Body></s:Envelope>`
  const headerFields = { id: '{http://www.w3.org/2005/08/addressing}MessageID', other: '{urn:x}y' }
  const { items } = await run({ ...unwrap, headerFields }, fileOf(message))
  const row = items[0]?.row ?? {}
  t.match(row, { id: 'urn:1', other: null })
  const [first, second] = row.soapHeaders as Row[]
  t.match(first, {
    name: 'MessageID',
    namespace: 'http://www.w3.org/2005/08/addressing',
    mustUnderstand: true,
    role: 'urn:me',
  })
  t.match(second, { name: 'To', mustUnderstand: false, role: null, text: 'x' })
  t.equal(second?.xml, '<w:To xmlns:w="http://www.w3.org/2005/08/addressing">x</w:To>')
  const wrapped = await run({ ...wrap, soapVersion: '1.2' }, items[0] as Item)
  t.notOk('soapHeaders' in (wrapped.items[0]?.row ?? {}))
  const back = await run(unwrap, wrapped.items[0] as Item)
  t.same(
    ((back.items[0]?.row.soapHeaders ?? []) as Row[]).map(({ name, text }) => [name, text]),
    [
      ['MessageID', 'urn:1'],
      ['To', 'x'],
    ],
  )
  t.match(
    (await run({ ...unwrap, mustUnderstand: 'refuse' }, fileOf(message))).fault,
    /SOAP_NOT_UNDERSTOOD at \{http.*MessageID/,
  )
  t.equal((await run({ ...unwrap, mustUnderstand: 'refuse', headerFields }, fileOf(message))).fault, '')
  for (const [soapHeaders, why] of [
    [['<a/>'], /it is in no namespace/],
    [['<a xmlns="x"/><b/>'], /SOAP_HEADER_INVALID at field soapHeaders\[0\]/],
    [['<!DOCTYPE a><a xmlns="x"/>'], /SOAP_HEADER_INVALID/],
    [[7], /it is no text/],
    ['x', /it is no list/],
  ] as const) {
    t.match((await run(wrap, fileOf('<a/>', { soapHeaders } as unknown as Row))).fault, why)
  }
})

t.test('faults are recognised', async (t) => {
  const old = `<s:Envelope xmlns:s="${S11}"><s:Body><s:Fault><faultcode>s:Client</faultcode><faultstring>没有权限</faultstring></s:Fault></s:Body></s:Envelope>`
  const fresh = `<s:Envelope xmlns:s="${S12}"><s:Body><s:Fault><s:Code><s:Value>s:Sender</s:Value></s:Code><s:Reason><s:Text xml:lang="en">no right</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>`
  t.match((await run(unwrap, fileOf(old))).fault, /^SOAP_FAULT.*s:Client: 没有权限/)
  t.match((await run(unwrap, fileOf(fresh))).fault, /^SOAP_FAULT.*s:Sender: no right/)
  const { items } = await run({ ...unwrap, onFault: 'pass' }, fileOf(fresh))
  t.same(items[0]?.row.soapFault, { code: 's:Sender', reason: 'no right' })
  t.match(textOf(items[0]), /^<s:Fault xmlns:s="/)
})

t.test('what is no SOAP message, and bad XML, is refused; neighbours pass', async (t) => {
  const envelope = (inner: string): string => `<s:Envelope xmlns:s="${S11}">${inner}</s:Envelope>`
  for (const [text, why] of [
    ['<a/>', /SOAP_INVALID.*its root is \{\}a/],
    ['<Envelope xmlns="urn:x"/>', /not a SOAP envelope/],
    [envelope(''), /one Body/],
    [envelope('<s:Body/>'), /0 elements/],
    [envelope('<s:Body><a/><b/></s:Body>'), /2 elements/],
    [envelope('<s:Body><a/></s:Body><x/>'), /one Body/],
    [envelope('<s:Body><a/></s:Body><s:Header/>'), /one Body/],
    [envelope('<s:Header><a/></s:Header><s:Body><a/></s:Body>'), /header block a is in no namespace/],
    [
      `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>${envelope('<s:Body><a>&e;</a></s:Body>')}`,
      /XML_DTD_REFUSED/,
    ],
    [envelope('<s:Body><a></s:Body>'), /XML_NOT_WELL_FORMED/],
    [envelope(`<s:Body>${'<a>'.repeat(10_000)}`), /XML_TOO_COMPLEX/],
    ['', /XML_NOT_WELL_FORMED/],
    ['<?xml version="1.0" encoding="klingon"?><a/>', /XML_ENCODING_UNKNOWN/],
  ] as const) {
    t.match((await run(unwrap, fileOf(text))).fault, why, text.slice(0, 60))
  }
  t.match(
    (await run(unwrap, fileOf('x', { mediaType: 'multipart/related; boundary=x' }))).fault,
    /set `format: swa` or `mtom`/,
  )
  t.match(
    (await run(wrap, fileOf('<a/>', { attachments: [{ text: 'x' }] }))).fault,
    /ATTACHED_INVALID.*has no attachments/,
  )
  t.match((await run(wrap, fileOf('<a/>', { soapAction: 'a"\r\nb' }))).fault, /CONTENT_TYPE_INVALID/)
})

t.test('character sets: of the document, and of the Content-Type, which goes before', async (t) => {
  const message = (encoding: string): string =>
    `<?xml version="1.0" encoding="${encoding}"?><s:Envelope xmlns:s="${S11}"><s:Body><a>甲</a></s:Body></s:Envelope>`
  const gbk = (text: string): Buffer => {
    const [before = '', after = ''] = text.split('甲')
    return Buffer.concat([Buffer.from(before), Buffer.from('bcd7', 'hex'), Buffer.from(after)])
  }
  const bodyOf = async (bytes: Buffer, mediaType?: string): Promise<string> => {
    const { items, fault } = await run(unwrap, fileOf(bytes, mediaType === undefined ? {} : { mediaType }))
    return fault || textOf(items[0])
  }
  t.equal(await bodyOf(gbk(message('gbk'))), '<a>甲</a>')
  t.equal(await bodyOf(gbk(message('utf-8')), 'text/xml; charset=GBK'), '<a>甲</a>')
  t.match(await bodyOf(gbk(message('gbk')), 'text/xml; charset=utf-8'), /MIME_ENCODING.*not in utf-8/)
  t.equal(
    await bodyOf(Buffer.from(`\ufeff${message('utf-8')}`), 'text/xml; charset=iso-8859-1'),
    '<a>甲</a>',
    'the mark first',
  )
  t.equal(await bodyOf(Buffer.from(`\ufeff${message('utf-16')}`, 'utf16le'), 'text/xml; charset=utf-16'), '<a>甲</a>')
})

t.test('a document in a field', async (t) => {
  const [item] = itemsOf([{ id: 1, xml: '<a/>' }])
  const wrapped = await run({ ...wrap, field: 'xml' }, item as Item)
  t.equal(typeof wrapped.items[0]?.row.xml, 'string')
  const { items } = await run({ ...unwrap, field: 'xml' }, wrapped.items[0] as Item)
  t.match(items[0]?.row, { id: 1, xml: '<a/>', soapVersion: '1.1' })
  t.rejects(run({ ...unwrap, format: 'swa', field: 'xml' }, item as Item), /attachments: field/)
})

t.test('MTOM: the example of XOP, section 2, in both directions', async (t) => {
  const message = lines(
    '--MIME_boundary',
    'Content-Type: application/xop+xml; ',
    '   charset=UTF-8; ',
    '   type="application/soap+xml"',
    'Content-Transfer-Encoding: 8bit',
    'Content-ID: <mymessage.xml@example.org>',
    '',
    `<soap:Envelope xmlns:soap='${S12}' xmlns:xmlmime='http://www.w3.org/2004/11/xmlmime'>`,
    "  <soap:Body><m:data xmlns:m='http://example.org/stuff'><m:photo xmlmime:contentType='image/png'><xop:Include",
    "  xmlns:xop='http://www.w3.org/2004/08/xop/include' href='cid:http://example.org/me%2Epng'/></m:photo></m:data>",
    '  </soap:Body></soap:Envelope>',
    '--MIME_boundary',
    'Content-Type: image/png',
    'Content-Transfer-Encoding: binary',
    'Content-ID: <http://example.org/me.png>',
    '',
    '\x89PNG',
    '--MIME_boundary',
    'Content-Type: text/plain',
    '',
    'beside it',
    '--MIME_boundary--',
  )
  const mediaType =
    'Multipart/Related;boundary=MIME_boundary; type="application/xop+xml"; start="<mymessage.xml@example.org>"; start-info="application/soap+xml; action=\\"urn:p\\""; action="urn:p"'
  const mtom = { ...unwrap, format: 'mtom' }
  const { items, fault } = await run(mtom, fileOf(Buffer.from(message, 'latin1'), { mediaType }))
  t.equal(fault, '')
  t.match(textOf(items[0]), /<m:photo xmlmime:contentType='image\/png'>iVBORw==<\/m:photo>/)
  t.match(items[0]?.row, { soapAction: 'urn:p', part: 1, parts: 2 })
  t.equal(textOf(items[1]), 'beside it')
  const kept = await run(
    { ...mtom, inline: false, attachments: 'field' },
    fileOf(Buffer.from(message, 'latin1'), { mediaType }),
  )
  t.match(textOf(kept.items[0]), /xop:Include/)
  t.equal(((kept.items[0]?.row.attachments ?? []) as Row[])[0]?.contentId, 'http://example.org/me.png')
  for (const [old, fresh, why] of [
    ['cid:http', 'http:http', /where a cid: must be/],
    ['me%2Epng', 'you', /no part has this Content-ID/],
    ['%2E', '%E4', /is no URL/],
    ['></m:photo>', '>x</m:photo>', /not all that its element has/],
    ['><xop:Include', '> <xop:Include', /not all that its element has/],
    ["png'/></m:photo>", "png'><a/></xop:Include></m:photo>", /is not empty/],
  ] as const) {
    const { fault } = await run(mtom, fileOf(Buffer.from(message.replace(old, fresh), 'latin1'), { mediaType }))
    t.match(fault, why, fresh)
  }
  const photo = /<m:photo.*?<\/m:photo>/s.exec(message)?.[0] ?? ''
  const twice = message.replace(photo, photo + photo)
  t.match((await run(mtom, fileOf(Buffer.from(twice, 'latin1'), { mediaType }))).fault, /includes cid:.* twice/)
})

t.test('MTOM: base64 becomes parts, where it comes back exactly', async (t) => {
  const big = Buffer.alloc(3_000, 'ab').toString('base64')
  const document = `<a xmlns:m="http://www.w3.org/2005/05/xmlmime" xmlns:n="urn:n"><f m:contentType="image/png">${big}</f><n:f>${big}</n:f>\r\n<f>QQ==</f><f>${big.slice(0, -4)} ${big.slice(-4)}</f><f>${big}<!-- --></f><g>${big}</g><f/></a>`
  const settings = { ...wrap, format: 'mtom', extract: ['{urn:n}f', 'f'] }
  const attachments = [{ contentId: 'mine@x', text: 'mine' }]
  const { items } = await run(settings, fileOf(document, { attachments }))
  t.equal(textOf(items[0]).match(/<xop:Include/g)?.length, 2)
  t.match(textOf(items[0]), /Content-Type: image\/png\r\n/)
  const back = await run({ ...unwrap, format: 'mtom' }, items[0] as Item)
  t.equal(textOf(back.items[0]), document)
  t.same(back.items.slice(1).map(textOf), ['mine'])
  const some = await run({ ...settings, extract: ['{urn:n}f'], extractBytesMin: 3_000 }, fileOf(document))
  t.equal(textOf(some.items[0]).match(/<xop:Include/g)?.length, 1)
  const none = await run({ ...settings, extractBytesMin: 3_001 }, fileOf(document))
  t.equal(textOf(none.items[0]).match(/<xop:Include/g), null)
})

t.test('MTOM and attachments: what comes without a multipart is a plain message', async (t) => {
  const plain = `<s:Envelope xmlns:s="${S11}"><s:Body><a/></s:Body></s:Envelope>`
  for (const format of ['swa', 'mtom']) {
    const { items } = await run({ ...unwrap, format }, fileOf(plain, { mediaType: 'text/xml; charset=utf-8' }))
    t.equal(textOf(items[0]), '<a/>')
  }
})
