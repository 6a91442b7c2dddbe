// Faults of XML documents. All carry `line` and `column` (from 1, in characters of the decoded text) where they are known.

import { declareFaults } from '#protocol/base/mod.ts'

export const xmlFault = declareFaults('xml', {
  XML_NOT_WELL_FORMED: {
    meaning: 'the document is not well-formed XML',
    remedy: 'Have its sender correct the place named by line and column; the other documents went on',
  },
  XML_DTD_REFUSED: {
    meaning: 'the document has a DOCTYPE: entities that it declares could read files or fill the memory',
    remedy: 'Have it sent without DOCTYPE; entities other than &lt; &gt; &amp; &quot; &apos; as characters',
  },
  XML_TOO_COMPLEX: {
    meaning: 'the document goes beyond a bound on its structure',
    remedy: 'Have it sent flatter or in parts; the bounds are fixed',
  },
  XML_ENCODING: {
    meaning: 'the bytes of the document are not in the encoding it declares',
    remedy: 'Have its sender write the encoding into the XML declaration that the bytes really have',
  },
  XML_ENCODING_UNKNOWN: {
    meaning: 'the document declares an encoding that is not known here',
    remedy: 'Have it sent as UTF-8, UTF-16, GB18030, GBK, Big5 or ISO-8859',
  },
  XML_TEXT_INVALID: {
    meaning: 'a text has characters that no XML document can hold',
    remedy: 'Remove control characters and half surrogate pairs from it before this step',
  },
})
