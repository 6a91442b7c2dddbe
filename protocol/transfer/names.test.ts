import t from 'tap'
import { faultCode } from '#protocol/bytes/testing.ts'
import { CONTENT_NAME_BYTES_MAX, checkName, nameProblem } from './mod.ts'

const FINE = [
  'a',
  'report.pdf',
  'archive.tar.gz',
  'no extension',
  ' leading space',
  '户籍数据 2026年06月.zip',
  '关于印发《通知》的函（2026）3号.docx',
  '附件1：名单／汇总.xlsx',
  '𠮷野家.txt',
  'ファイル名.csv',
  'Büro.txt',
  'Bu\u0308ro.txt',
  'e\u0301'.normalize('NFC'),
  '한글.hwp',
  '한글'.normalize('NFD'),
  'نامه\u200cها.txt',
  '👨\u200d👩\u200d👧.png',
  '-rf',
  '~backup',
  '$HOME',
  '%PATH%',
  'a..b',
  'console.txt',
  'contract',
  'com',
  'com10.txt',
  'lpt',
  'null',
  'nul_.txt',
  'my con.txt',
  'auxiliary',
  'x'.repeat(CONTENT_NAME_BYTES_MAX),
  '长'.repeat(85),
  '\ufffd',
]

const HOSTILE: Readonly<Record<string, readonly string[]>> = {
  'it is empty': [''],
  'it means a folder': ['.', '..'],
  'it begins with a dot': ['.bashrc', '...', '.ssh', '.htaccess', '. '],
  'it ends with a dot or a space': ['a.', 'a ', 'file.exe. . ', 'con.', 'nul '],
  'it has a character that no name of a file may have': [
    '/etc/passwd',
    'a/b',
    'a\\b',
    'x\\..\\y',
    'c:x',
    'file.txt:stream',
    'a::$DATA',
    'a*',
    'a?',
    'a|b',
    'a<b',
    'a>b',
    'say "x"',
    'a\0b',
    'a\nb',
    'a\tb',
    'a\u007f',
    'a\u001b[2J',
    'a\u0085b',
    'a\u009b2J',
  ],
  'it has a character that cannot be seen': [
    'invoice\u202egpj.exe',
    'a\u202d',
    'a\u2066b\u2069',
    'a\u200e',
    'a\u200fb',
    'a\u061cb',
    'a\u200bb',
    'a\u2060b',
    '\ufeffa',
    'a\u00adb',
    'a\u2028b',
    'a\u2029b',
    'a\u{e0041}',
    'a\u180eb',
  ],
  'it is the name of a device': [
    'con',
    'CON',
    'Con.txt',
    'prn',
    'aux.c',
    'nul',
    'NUL.tar.gz',
    'nul .txt',
    'con  .x',
    'com1',
    'COM9.log',
    'com0',
    'com¹',
    'LPT³.txt',
    'lpt1',
    'conin$',
    'CONOUT$',
    'clock$',
  ],
  'it is not well-formed text': ['a\ud800', '\udc00b', '\ud800'],
  [`it is longer than ${CONTENT_NAME_BYTES_MAX} bytes`]: [
    'x'.repeat(CONTENT_NAME_BYTES_MAX + 1),
    '长'.repeat(86),
    '𠮷'.repeat(64),
    '한'.normalize('NFD').repeat(29),
  ],
}

/** In ASCII: a line separator in its name would cut the report of a test. */
const shown = (name: string): string =>
  name.slice(0, 40).replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

t.test('names that every system can give a file', async (t) => {
  for (const name of FINE) t.equal(nameProblem(name), null, shown(name))
})

for (const [why, names] of Object.entries(HOSTILE)) {
  t.test(why, async (t) => {
    for (const name of names) {
      t.equal(nameProblem(name), why, shown(name))
      t.equal(
        faultCode(() => checkName(name)),
        'CONTENT_NAME_INVALID',
      )
    }
  })
}

t.test('both normal forms are taken as they are: they are two names', async (t) => {
  const [composed, decomposed] = ['ü'.normalize('NFC'), 'ü'.normalize('NFD')]
  t.not(composed, decomposed)
  t.strictSame([nameProblem(composed), nameProblem(decomposed)], [null, null])
})

t.test('what a fault shows of a name controls nobody', async (t) => {
  for (const name of ['a\u202eb', 'a\u001b[2J', 'a\u009b', 'a\nb', 'a\u2028b', '\ud800', 'a\u{e0041}']) {
    try {
      checkName(name)
      t.fail('it was accepted')
    } catch (error) {
      const text = (error as { describe(): string }).describe()
      t.notMatch(text, /[\p{C}\p{Zl}\p{Zp}]/u, shown(name))
    }
  }
})
