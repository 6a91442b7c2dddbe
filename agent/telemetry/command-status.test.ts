import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readCommands, tellCommand } from './command-status.ts'

t.test('a command tells about its transfers while it runs, and removes what others left behind', async (t) => {
  const dataDir = t.testdir()
  const folder = join(dataDir, 'commands')
  t.strictSame(readCommands(dataDir), [])
  mkdirSync(folder)
  const left = { pid: 2 ** 22 + 1, command: 'send file', startedAtMs: 1, transfers: [] }
  writeFileSync(join(folder, `${left.pid}.json`), JSON.stringify(left))
  // Its number is that of another process by now.
  const silent = join(folder, `${process.ppid}.json`)
  writeFileSync(silent, JSON.stringify({ ...left, pid: process.ppid }))
  utimesSync(silent, 1, 1)
  writeFileSync(join(folder, '7.json'), '{')
  writeFileSync(join(folder, 'notes.txt'), 'mine')
  t.strictSame(readCommands(dataDir), [])
  const telling = tellCommand(dataDir, { command: 'receive file', transfers: () => [] })
  t.match(readCommands(dataDir), [{ pid: process.pid, command: 'receive file', transfers: [] }])
  t.strictSame(readdirSync(folder).sort(), [`${process.pid}.json`, 'notes.txt'].sort())
  telling.stop()
  t.strictSame(readCommands(dataDir), [])
})

t.test('one that cannot tell goes on all the same', async (t) => {
  const dataDir = t.testdir({ commands: 'a file where the folder should be' })
  tellCommand(dataDir, { command: 'send file', transfers: () => [] }).stop()
  t.strictSame(readCommands(dataDir), [])
  t.ok(existsSync(join(dataDir, 'commands')))
})
