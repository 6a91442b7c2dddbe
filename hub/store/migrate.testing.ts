// Run by migrate.test.ts as a process of its own: opens the engine of the folder in argv[2], and ends itself at the step
// with the number in argv[3], as if killed there.

import { openEngine } from './migrate.ts'

const [, , folder, number] = process.argv
if (folder === undefined || number === undefined) throw new Error('usage: migrate.testing.ts <folder> <step>')
let left = Number(number)
const engine = await openEngine(folder, 2 ** 28, {
  freeBytesMin: 0,
  onStep: () => {
    if (left-- === 0) process.kill(process.pid, 'SIGKILL')
  },
})
await engine.close()
