// UTF-8 under another name: the most usual wrong declaration where GBK was the rule, and one that decodes to ideographs nobody wrote.

import { isAscii, isUtf8 } from 'node:buffer'

const DOUBLE_BYTE: readonly string[] = ['gbk', 'gb18030', 'big5', 'shift_jis', 'euc-kr']
const IDEOGRAPHS_MIN = 4

/**
 * Text in these encodings that is also UTF-8 with several ideographs of three bytes does not happen: every pair would have to
 * have its bytes in ranges that its language hardly uses.
 */
export function isReallyUtf8(bytes: Uint8Array, encoding: string, ideographsMin = IDEOGRAPHS_MIN): boolean {
  if (!DOUBLE_BYTE.includes(encoding) || isAscii(bytes) || !isUtf8(bytes)) return false
  let ideographs = 0
  for (let i = 0; i < bytes.length && ideographs < ideographsMin; i += 1) {
    const byte = bytes[i] as number
    if (byte >= 0xe4 && byte <= 0xe9) ideographs += 1
  }
  return ideographs >= ideographsMin
}
