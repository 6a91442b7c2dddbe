// Questions to a thread, over a real one.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { AskedThread, ThreadError } from './mod.ts'

const FILE = new URL('./parrot.testing.ts', import.meta.url)

t.test('answers come in the order asked for, with what went wrong in between', async (t) => {
  const thread = new AskedThread(FILE, 'test')
  t.teardown(() => thread.close())
  const order: unknown[] = []
  const asked = [1, { fail: 'NO_LUCK' }, 'two', { fail: '' }, null].map((question) =>
    thread.ask(question).then(
      (answer) => order.push(answer),
      ({ code, message }: ThreadError) => order.push([code, message]),
    ),
  )
  t.equal(thread.pending, 5)
  await Promise.all(asked)
  t.strictSame(order, [1, ['NO_LUCK', 'as asked for'], 'two', ['', 'as asked for'], null])
  t.equal(thread.pending, 0)
})

t.test('a thread that dies answers nothing, and the next question starts another', async (t) => {
  const thread = new AskedThread(FILE, 'test')
  t.teardown(() => thread.close())
  const asked = await Promise.allSettled(['before', { end: true }, 'after'].map((question) => thread.ask(question)))
  t.match(asked, [
    { value: 'before' },
    { reason: { code: '', message: /test thread ended with code 3/ } },
    { reason: {} },
  ])
  t.ok((asked[2] as PromiseRejectedResult).reason instanceof ThreadError)
  t.equal(thread.pending, 0)
  t.equal(await thread.ask('again'), 'again')
  const closed = thread.ask('x')
  void thread.close()
  await t.rejects(closed, { message: /closed/ })
  t.equal(await thread.ask('once more'), 'once more')
})

t.test('a thread with nothing to do does not keep the process', async (t) => {
  for (const held of ['', 'held']) {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', FILE.pathname, held], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let said = ''
    child.stdout.on('data', (bytes) => {
      said += bytes
    })
    const [code] = (await once(child, 'close')) as [number]
    t.strictSame([code, said], [0, 'answered'], held)
  }
})
