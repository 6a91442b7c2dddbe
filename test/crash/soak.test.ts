// `make soak` as somebody starts it, mistypes it, and stops it.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import t from 'tap'

const soak = (env: Readonly<Record<string, string>>) =>
  spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'soak.ts')], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })

t.test('settings that are none', async (t) => {
  for (const [env, wanted] of [
    [{ ROUNDS: 'x' }, /not a whole number: ROUNDS=x/],
    [{ STAGES: 'fuzzz' }, /no such stage: fuzzz/],
  ] as const) {
    const child = soak(env)
    const [complaint, [code]] = await Promise.all([text(child.stderr), once(child, 'close')])
    t.equal(code, 2)
    t.match(complaint, wanted)
  }
})

t.test('whoever stops it stops its tests', async (t) => {
  const child = soak({ STAGES: 'fuzz', FUZZ_INPUTS: '4000000000' })
  t.teardown(() => child.kill('SIGKILL'))
  const ended = once(child, 'exit')
  // What a test says comes through its parent: the test is there.
  for await (const line of createInterface({ input: child.stdout })) if (line.includes('fuzz: #')) break
  child.stdout.resume()
  const errors = text(child.stderr)
  child.kill('SIGTERM')
  t.same(await ended, [143, null])
  // Tests have the same standard error: it ends with the last of them.
  await errors
})
