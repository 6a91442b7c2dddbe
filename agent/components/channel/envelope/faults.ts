import { declareFaults } from '#protocol/base/mod.ts'

export const envelopeFault = declareFaults('components', {
  CONTENT_TYPE_MISSING: {
    meaning: 'it is not known what the envelope is',
    remedy: 'Give its Content-Type in the field that `contentTypeField` names, or set `headers: inside`',
  },
  CONTENT_TYPE_INVALID: {
    meaning: 'the Content-Type does not fit this envelope',
    remedy: 'Have its sender correct it, or correct `format`',
  },
  MIME_INVALID: {
    meaning: 'the document is not a MIME message that every reader understands in the same way',
    remedy: 'Have its sender correct it; for lines that end in LF alone set `lf: true`',
  },
  MIME_LIMIT: {
    meaning: 'the MIME message goes beyond a bound',
    remedy: 'Raise `partsMax` of the channel, or have it sent in several messages',
  },
  MIME_ENCODING: {
    meaning: 'a part is not in the transfer encoding or character set that it names',
    remedy: 'Have its sender correct the part, or what its headers say of it',
  },
  FORM_VALUE_INVALID: {
    meaning: 'a value of the row cannot be one of a form',
    remedy:
      'Give an object of texts, numbers, true or false by name, or lists of them, in the field that `formField` names',
  },
  SOAP_INVALID: {
    meaning: 'the document is not a SOAP message',
    remedy: 'Have its sender correct it, or correct `format`',
  },
  SOAP_FAULT: {
    meaning: 'the message is a SOAP fault',
    remedy: 'Read its reason and correct the request it answers; to take faults as documents set `onFault: pass`',
  },
  SOAP_NOT_UNDERSTOOD: {
    meaning: 'a SOAP header block must be understood and is not',
    remedy: 'Name it in `headerFields`, or set `mustUnderstand: keep` if later steps look after it',
  },
  SOAP_HEADER_INVALID: {
    meaning: 'a SOAP header block of the row cannot be used',
    remedy: 'Give each as the text of one XML element in a namespace, or as `{ xml }`',
  },
  XOP_INVALID: {
    meaning: 'what the document includes cannot be put in its place',
    remedy: 'Have its sender correct it: each xop:Include names one part by `cid:`',
  },
})
