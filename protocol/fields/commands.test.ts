// Which command is meant, and what is said when none is.

import t from 'tap'
import { columns, command, f, parseFields, runProgram } from './mod.ts'

const spec = f.object({ json: f.boolean({ doc: 'print JSON', default: false }) })
const plain = (summary: string) => command({ summary, spec, run: async () => 0 })
const file = f.list(f.text({ doc: 'flow file' }), { doc: 'flow files', min: 1 })
const commands = {
  init: plain('make it'),
  groups: plain('list the groups'),
  'groups add': plain('add to a group'),
  'flow lint': command({ summary: 'check', spec: f.object({ file }), positionals: ['file'], run: async () => 0 }),
  strict: command({
    summary: 'read settings on the way',
    spec,
    run: async () => {
      const read = parseFields(spec, 'jsno: true', { file: 'a.yaml' })
      if (!read.ok) throw read.fault[0]
      return 0
    },
  }),
  'flow run': plain(`run, which takes ${'many words '.repeat(12)}to say`),
}

async function run(...argv: string[]): Promise<[number, string, string]> {
  const out: string[] = []
  const err: string[] = []
  const code = await runProgram('prog', commands, argv, {
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    version: () => '1.2.3',
  })
  return [code, out.join('\n'), err.join('\n')]
}

t.test('help for all, for those that begin alike, for one', async (t) => {
  for (const argv of [[], ['help'], ['--help'], ['-h']]) {
    const [code, text] = await run(...argv)
    t.equal(code, 0)
    for (const name of Object.keys(commands)) t.match(text, `  ${name} `)
    for (const line of text.split('\n')) t.ok(columns(line) <= 80, line)
  }
  for (const argv of [
    ['flow', '--help'],
    ['help', 'flow'],
  ]) {
    const [code, text] = await run(...argv)
    t.equal(code, 0)
    t.match(text, /flow lint.*flow run/s)
    t.notMatch(text, /init/)
  }
  t.match(await run('help', 'flow', 'lint'), [0, /^Usage: prog flow lint/])
  t.match(await run('groups', '--help'), [0, /^Usage: prog groups/])
  t.same(await run('--version'), [0, 'prog 1.2.3', ''])
  t.same(await run('version', '--json'), [0, '{"version":"1.2.3"}', ''])
})

t.test('commands nobody knows', async (t) => {
  const cases: [string[], RegExp][] = [
    [['inti'], /"inti" is none of them; did you mean "init"\?/],
    [['flo', 'lint', 'x'], /"flo" is none of them; did you mean "flow lint"\?/],
    [['flow', 'lnt', 'x'], /"flow lnt" is none of them; did you mean "flow lint"\?/],
    [['flwo'], /"flwo" is none of them; did you mean "flow"\?/],
    [['flow'], /"flow" is none of them\. Give one of flow lint and flow run\.$/],
    [['flow', 'delete'], /"flow delete" is none of them\. Give one of flow lint and flow run\.$/],
    [['groups', 'ad', 'x'], /"groups ad" is none of them; did you mean "groups add"\?/],
    [['groups', 'everything'], /^ARG_EXTRA/],
    [['constructor'], /"constructor" is none of them/],
    [['help', 'nonsense'], /"nonsense" is none of them/],
  ]
  for (const [argv, text] of cases) t.match(await run(...argv), [2, '', text], argv.join(' '))
})

t.test('options and arguments nobody knows, and those that are missing', async (t) => {
  const missing = await run('flow', 'lint')
  t.match(missing, [2, '', /^ARG_MISSING at <file>: .* Add <file>: flow files\.$/])
  t.match(await run('flow', 'lint', '--fiel', 'a'), [2, '', /^ARG_UNKNOWN at --fiel:/])
  t.notMatch((await run('flow', 'lint', '--fiel', 'a'))[2], /ARG_EXTRA/, 'its value is no argument too many')
})

t.test('wrong settings that a command reads on the way: exit code 2', async (t) => {
  t.match(await run('strict'), [2, '', /^FIELD_UNKNOWN at a\.yaml:1:1 jsno: .*Did you mean json\?/])
})
