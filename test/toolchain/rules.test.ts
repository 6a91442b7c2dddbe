// Every rule must be able to fail: each gets a sample that breaks it and one that does not.

import t from 'tap'
import { constructRules } from './constructs.ts'
import { directionRules } from './directions.ts'
import { fileRules } from './files.ts'
import { describe, houseOf, type Rule } from './house.ts'

type Texts = Readonly<Record<string, string>>
/** `finds`: the places the rule must name in `bad`, in order. */
type Sample = { readonly bad: Texts; readonly finds: readonly string[]; readonly good: Texts }

const TOP: Texts = Object.fromEntries(
  ['LICENSE', 'Makefile', 'README.md', 'package-lock.json', 'package.json', 'tsconfig.json']
    .concat(['agent/main.ts', 'bench/harness.ts', 'hub/main.ts', 'protocol/base/mod.ts', 'test/tidy.test.ts'])
    .map((path) => [path, '']),
)
const root = 'root'
const nothing = 'export {}\n'
const lines = (count: number): string => '// a line\n'.repeat(count)

const SAMPLES: Readonly<Record<string, Sample>> = {
  'the top level is what the architecture lists': {
    bad: { ...without(TOP, 'README.md'), 'notes.txt': '', '.editorconfig': '' },
    finds: ['notes.txt', 'README.md'],
    good: { ...TOP, '.editorconfig': '', 'firmware-images/mod.ts': '' },
  },
  'no file is too long': {
    bad: { 'hub/store/a.ts': lines(501) },
    finds: ['hub/store/a.ts:501'],
    good: { 'hub/store/a.ts': lines(500), 'protocol/schema/a.gen.ts': lines(900) },
  },
  'text ends lines with LF, indents with spaces, ends with one newline': {
    bad: { 'a.ts': '//\r\n', 'b.md': 'x\n\ty\n', 'c.ts': 'x()', 'd.ts': 'x()\n\n' },
    finds: ['a.ts:1', 'b.md:2', 'c.ts:1', 'd.ts:3'],
    good: {
      'a.ts': 'x()\n',
      'b.cmd': 'x\r\n',
      Makefile: 'a:\n\tb\n',
      'empty.txt': '',
      'test/fixtures/a.csv': '1\r\n\t',
    },
  },
  'no trace of one machine': {
    bad: {
      'a.ts': `//\n// /${root}/project/a.ts\n`,
      'b.sh': `cd /${'home'}/somebody\n`,
      'package-lock.json': `"${'resolved'}": "https://${'registry'}.npmjs.org/a"\n`,
    },
    finds: ['a.ts:2', 'b.sh:1', 'package-lock.json:1', 'package-lock.json:1'],
    good: {
      'a.ts': `// src/${root}/a.ts, /var/lib/causeway, https://example.org/${root}/a\n`,
      'b.md': 'registry\n',
    },
  },
  'a folder with several modules in use outside has a door': {
    bad: {
      'hub/store/a.ts': nothing,
      'hub/store/b.ts': nothing,
      'hub/router/x.ts': "import '../store/a.ts'\nimport '#hub/store/b.ts'\n",
    },
    finds: ['hub/router/x.ts:2'],
    good: {
      'hub/store/a.ts': nothing,
      'hub/router/x.ts': "import '../store/a.ts'\n",
      'agent/components/registry.ts': "import './sink/a.ts'\nimport './sink/b.ts'\n",
      'hub/pool/mod.ts': nothing,
      'hub/pool/a.ts': nothing,
      'hub/router/y.ts': "import '#hub/pool/a.ts'\nimport '#hub/pool/mod.ts'\n",
    },
  },
  'no module is dead': {
    bad: {
      'hub/store/a.ts': nothing,
      'hub/store/a.test.ts': "import './a.ts'\n",
      'test/helper.ts': nothing,
    },
    finds: ['hub/store/a.ts:1', 'test/helper.ts:1'],
    good: {
      'hub/causeway-hub': 'exec node "$root/hub/main.ts"\n',
      'hub/main.ts': "import './compose.ts'\n",
      'hub/compose.ts': "new Worker(new URL('./pool/worker.ts', import.meta.url))\n",
      'hub/pool/worker.ts': nothing,
      'hub/pool/child.testing.ts': nothing,
      'hub/pool/worker.test.ts': "spawn(join(import.meta.dirname, 'child.testing.ts'))\n",
      'bench/harness.ts':
        '// Run: node bench/harness.ts\n' + `const load = (name) => import(\`./scenarios/\${name}.ts\`)\n`,
      'bench/scenarios/e2e.ts': nothing,
    },
  },
  'imports go down the house': {
    bad: {
      'protocol/frame/a.ts': "import '../codec/mod.ts'\n",
      'protocol/base/a.ts': "import type { X } from '#hub/store/mod.ts'\n",
      'hub/store/a.ts': "\nexport * from '../session/mod.ts'\n",
      'hub/config/a.ts': "let a: import('#agent/runtime/mod.ts').Flow\n",
      'agent/client/a.ts': "await import('#hub/store/mod.ts')\n",
      'agent/spool/a.ts': "import { a } from '#agent/client/mod.ts'\n",
      'hub/compose.ts': "import './main.ts'\n",
    },
    finds: [
      'protocol/frame/a.ts:1',
      'protocol/base/a.ts:1',
      'hub/store/a.ts:2',
      'hub/config/a.ts:1',
      'agent/client/a.ts:1',
      'agent/spool/a.ts:1',
      'hub/compose.ts:1',
    ],
    good: {
      'protocol/codec/a.ts': "import '../frame/mod.ts'\nimport './b.ts'\n",
      'hub/session/a.ts':
        "import '../store/mod.ts'\nimport '#agent/components/mod.ts'\nimport '#protocol/base/mod.ts'\n",
      'hub/store/a.test.ts': "import '#hub/session/mod.ts'\n",
      'hub/main.ts': "import './compose.ts'\n",
    },
  },
  'session, process and router do not know each other': {
    bad: { 'hub/session/a.ts': "import '../router/mod.ts'\n", 'hub/process/a.ts': "import '#hub/session/mod.ts'\n" },
    finds: ['hub/session/a.ts:1', 'hub/process/a.ts:1'],
    good: {
      'hub/session/a.ts': "import '../store/mod.ts'\nimport './b.ts'\n",
      'hub/compose.ts': "import './router/mod.ts'\n",
    },
  },
  'what is shipped imports no test or bench': {
    bad: { 'hub/store/a.ts': "import '#test/x.ts'\nimport '#bench/y.ts'\nimport './testing.ts'\n" },
    finds: ['hub/store/a.ts:1', 'hub/store/a.ts:2', 'hub/store/a.ts:3'],
    good: {
      'hub/store/a.test.ts': "import '#test/x.ts'\nimport './testing.ts'\n",
      'bench/a.ts': "import '#test/x.ts'\n",
    },
  },
  'protocol is pure': {
    bad: { 'protocol/frame/a.ts': "import { connect } from 'node:net'\nimport 'fs'\n" },
    finds: ['protocol/frame/a.ts:1', 'protocol/frame/a.ts:2'],
    good: {
      'protocol/frame/a.ts': "import 'node:zlib'\nimport 'node:crypto'\n",
      'protocol/schema/generate.ts': "import 'node:fs'\n",
      'hub/store/a.ts': "import 'node:fs'\n",
    },
  },
  'lmdb stays behind store and spool': {
    bad: { 'hub/session/a.ts': "import { open } from 'lmdb'\n" },
    finds: ['hub/session/a.ts:1'],
    good: {
      'hub/store/a.ts': "import 'lmdb'\n",
      'agent/spool/a.ts': "import 'lmdb'\n",
      'bench/a.ts': "import 'lmdb'\n",
    },
  },
  'every folder has its place in the house': {
    bad: { 'hub/utils/a.ts': nothing, 'hub/utils/b.ts': nothing, 'agent/helpers.ts': nothing },
    finds: ['hub/utils/a.ts:1', 'agent/helpers.ts:1'],
    good: { 'hub/store/a.ts': nothing, 'hub/causeway-hub': '', 'hub/main.test.ts': nothing, 'test/any/a.ts': nothing },
  },
  'only compose.ts knows every folder': {
    bad: { 'hub/main.ts': importing('api', 'listener', 'session', 'router', 'store', 'security', 'config') },
    finds: ['hub/main.ts:1'],
    good: {
      'hub/main.ts': importing('config', 'telemetry', 'store'),
      'hub/compose.ts': importing('api', 'listener', 'session', 'router', 'store', 'security', 'config'),
    },
  },
  'imports exist': {
    bad: { 'hub/store/a.ts': "import './gone.ts'\n", 'test/a.test.ts': "\nexport { x } from '#hub/store/gone.ts'\n" },
    finds: ['hub/store/a.ts:1', 'test/a.test.ts:2'],
    good: { 'hub/store/a.ts': "import './b.ts'\nimport 'node:fs'\nimport 'lmdb'\n", 'hub/store/b.ts': nothing },
  },
  'shipped code imports declared dependencies': {
    bad: { 'package.json': '{"devDependencies":{"tap":"1"}}', 'hub/store/a.ts': "import t from 'tap'\n" },
    finds: ['hub/store/a.ts:1'],
    good: {
      'package.json': '{"dependencies":{"lmdb":"1","@a/b":"1"}}',
      'hub/store/a.ts': "import 'lmdb'\nimport '@a/b/c.js'\n",
      'hub/store/a.test.ts': "import t from 'tap'\n",
    },
  },
  'no enum, namespace or parameter property': {
    bad: {
      'a.ts': 'enum A { B }\nnamespace C { export const d = 1 }\nclass E { constructor(readonly f: number) {} }\n',
    },
    finds: ['a.ts:1', 'a.ts:2', 'a.ts:3'],
    good: {
      'a.ts':
        "declare module 'x' {}\nclass E { readonly f: number\n constructor(f: number) { this.f = f } }\n// enum A\n",
    },
  },
  'no `as any`': {
    bad: { 'a.ts': 'f(x as any)\nconst y = <any>x\n' },
    finds: ['a.ts:1', 'a.ts:2'],
    good: { 'a.ts': "f('x as any', y as unknown as Z)\n" },
  },
  'no @ts-ignore or @ts-nocheck': {
    bad: { 'a.ts': `x()\n// @${'ts-ignore'}\ny()\n` },
    finds: ['a.ts:2'],
    good: { 'a.ts': "// @ts-expect-error: a number is wanted\nf('@ts-ignore')\n" },
  },
  'no swallowed error': {
    bad: {
      'a.ts': 'try { f() } catch {}\n\ng().catch(() => {})\n\n\ng().then(h).catch(() => undefined)\n',
    },
    finds: ['a.ts:1', 'a.ts:3', 'a.ts:6'],
    good: {
      'a.ts':
        'try { f() } catch (e) { report(e) }\n// Closed twice is closed.\ng().catch(() => {})\n\nh.catch((e) => say(e))\n',
    },
  },
  'no test is skipped or alone without a reason': {
    bad: {
      'a.test.ts': "t.skip('a', f)\nt.test('b', { only: true }, f)\nt.only('c', f)\nt.test('d', { skip: true }, f)\n",
    },
    finds: ['a.test.ts:1', 'a.test.ts:2', 'a.test.ts:3', 'a.test.ts:4'],
    good: { 'a.test.ts': "t.test('a', { skip: 'no broker here' }, f)\ncursor.skip(4)\n", 'b.ts': 't.only(1)\n' },
  },
  'limits are finite': {
    bad: {
      'hub/store/limits.ts': 'export const A = 1\nexport const B = Infinity\nexport const C = Number.MAX_VALUE\n',
    },
    finds: ['hub/store/limits.ts:2', 'hub/store/limits.ts:3'],
    good: {
      'hub/store/limits.ts': '// not Infinity\nexport const A = 64 * 1024\n',
      'hub/store/a.ts': 'let min = Infinity\n',
    },
  },
  'the console belongs to commands': {
    bad: { 'hub/store/a.ts': "\nconsole.log('x')\n", 'protocol/frame/a.ts': 'console.error(1)\n' },
    finds: ['hub/store/a.ts:2', 'protocol/frame/a.ts:1'],
    good: {
      'hub/main.ts': 'console.log(1)\n',
      'bench/a.ts': 'console.log(1)\n',
      'hub/store/a.test.ts': 'console.log(1)\n',
    },
  },
  'protocol reads no clock and draws no chance': {
    bad: { 'protocol/session/a.ts': 'Date.now()\nMath.random()\nperformance.now()\nnew Date()\nsetTimeout(f, 1)\n' },
    finds: [1, 2, 3, 4, 5].map((line) => `protocol/session/a.ts:${line}`),
    good: { 'protocol/session/a.ts': 'new Date(nowMs)\nMath.min(1, 2)\n', 'hub/session/a.ts': 'Date.now()\n' },
  },
}

for (const rule of [...fileRules, ...directionRules, ...constructRules]) {
  t.test(rule.name, async (t) => {
    const sample = SAMPLES[rule.name]
    if (sample === undefined) return t.fail('add a sample that breaks this rule')
    const found = rule.find(houseOf(sample.bad))
    t.same(sorted(found.map(({ where }) => where)), sorted(sample.finds), 'finds what is bad, where it is')
    for (const finding of found) t.ok(finding.what !== '' && finding.mend !== '', describe(finding))
    t.same(rule.find(houseOf(sample.good)).map(describe), [], 'lets the good pass')
  })
}

t.test('every sample belongs to a rule', async (t) => {
  const names = (rules: readonly Rule[]): string[] => rules.map(({ name }) => name)
  const known = [...names(fileRules), ...names(directionRules), ...names(constructRules)]
  t.same(sorted(Object.keys(SAMPLES)), sorted(known))
})

t.test('a module that does not parse is named', async (t) => {
  t.throws(() => houseOf({ 'hub/a.ts': 'export const = 1\n' }), /hub\/a\.ts does not parse/)
})

function importing(...folders: string[]): string {
  return folders.map((folder) => `import './${folder}/mod.ts'\n`).join('')
}

function without(texts: Texts, path: string): Texts {
  return Object.fromEntries(Object.entries(texts).filter(([name]) => name !== path))
}

function sorted(names: readonly string[]): string[] {
  return [...names].sort()
}
