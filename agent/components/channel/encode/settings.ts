// Settings of the `encode` channel.

import { f, type Infer } from '#protocol/fields/mod.ts'
import { documentSettings } from '../../document.ts'
import { LINE_CHARS_MAX } from './limits.ts'

export const encodeSettings = f.object(
  {
    encoding: f.choice(['base64', 'hex', 'quoted-printable', 'percent'], {
      doc: 'base64 and hex (RFC 4648), quoted-printable (RFC 2045), percent (RFC 3986)',
    }),
    direction: f.choice(['encode', 'decode'], { doc: 'which way', default: 'encode' }),
    ...documentSettings,
    urlSafe: f.boolean({ doc: 'base64 with - and _ instead of + and /', default: false }),
    padding: f.boolean({ doc: 'base64 ends with = to a multiple of four', default: true }),
    lineLength: f.integer({
      doc: 'base64 and hex: characters of a line, ended by CRLF (MIME: 76); decoding then takes any lines; 0: no line breaks',
      min: 0,
      max: LINE_CHARS_MAX,
      default: 0,
    }),
    as: f.choice(['text', 'bytes'], {
      doc: 'what decoding puts into a field; left out: text for quoted-printable and percent, else bytes',
      optional: true,
    }),
  },
  {
    check: ({ encoding, direction, urlSafe, padding, lineLength, field, as }) => {
      if ((urlSafe || !padding) && encoding !== 'base64') return '`urlSafe` and `padding` are for base64'
      if (lineLength > 0 && encoding !== 'base64' && encoding !== 'hex') return '`lineLength` is for base64 and hex'
      if (lineLength % 4 !== 0) return '`lineLength` must be a multiple of four, as 64 and 76'
      if (as !== undefined && (direction === 'encode' || field === undefined))
        return '`as` is for decoding in a `field`: content is always bytes'
      return null
    },
  },
)

export type EncodeSettings = Infer<typeof encodeSettings>
