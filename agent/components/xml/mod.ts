// XML without DTD: bytes → text → tree, and what writers need. Every document that comes from elsewhere goes through this parser or a
// check by it, so that entities, deep nesting and wrong encodings meet one answer.

export { isLocalName } from './characters.ts'
export { decodeXml } from './decode.ts'
export { xmlFault } from './faults.ts'
export { Names } from './names.ts'
export { XmlParser } from './parse.ts'
export { placeIn } from './place.ts'
export { XML_URI, XMLNS_URI } from './scopes.ts'
export { DOCUMENT, TEXT, TEXT_ESCAPED, XmlTree } from './tree.ts'
export { checkXmlText, escapeText, escapeValue, XML_DECLARATION } from './write.ts'
