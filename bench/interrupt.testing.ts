// What an interrupted benchmark is: starts a role and a program, makes a folder, says so and goes on for ever. The test
// kills it.

import { once } from 'node:events'
import { join } from 'node:path'
import { startProgram, startRole } from './children.ts'
import { freshFolder } from './stage.ts'

const folder = freshFolder('interrupted')
const role = startRole('raw-relay', { path: join(folder.dir, 'store.mdb') })
await once(role, 'message')
const program = startProgram(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
process.send?.({ pids: [role.pid, program.pid], dir: folder.dir })
setInterval(() => undefined, 1000)
