import { declareFaults } from '#protocol/base/mod.ts'

export const encodeFault = declareFaults('components', {
  ENCODED_INVALID: {
    meaning: 'the text is not in this encoding',
    remedy: 'Correct it at its source, or the settings `encoding`, `urlSafe`, `padding` and `lineLength`',
  },
  DECODED_NOT_TEXT: {
    meaning: 'what was encoded is not text in UTF-8',
    remedy: 'Set `as: bytes`, or convert the text to UTF-8 at its source',
  },
  ENCODED_TOO_LONG: {
    meaning: 'the encoded text would be too long',
    remedy: 'Lower `bytesMax` of the channel, so that such documents are refused before, or carry them as they are',
  },
})
