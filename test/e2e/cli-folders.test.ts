// Commands that make folders, where none can be made.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { run } from './cli.ts'
import { localHub } from './support.ts'

const skip = existsSync('/proc/self') ? false : 'no /proc on this machine'

t.test('a file system that makes no folders is refused, with its path', { skip }, async (t) => {
  const hub = await localHub(t, { queues: [{ name: 'q', topics: ['#'] }] })
  await hub.enroll('agent')
  const token = hub.invite('fresh')
  const commands = [
    ['hub', 'init', '--data', '/proc/causeway'],
    ['hub', 'init', '--data', '/proc/causeway/hub'],
    ['agent', 'enroll', '--data', '/proc/causeway', '--token', token],
    ['agent', 'receive', 'file', '--data', join(hub.dir, 'agent'), '--queue', 'q', '--to', '/proc/causeway'],
  ] as const
  const ran = await Promise.all(commands.map(([program, ...args]) => run(program, args)))
  for (const [i, { code, stderr }] of ran.entries()) {
    t.equal(code, 1, commands[i]?.join(' ') ?? '')
    t.match(stderr, /SYSTEM_REFUSED at \/proc\/causeway: /)
  }
})
