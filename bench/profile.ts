// Where hub, producer and consumer of `durable-e2e` spend their time: node bench/profile.ts (make profile). Writes a V8 CPU
// profile of each, to be opened in any browser's developer tools (Performance, or chrome://inspect) as a flame graph, and
// prints the functions with the most time of their own.
//
// SECONDS=10 and SIZES=1024 choose how long and with what bodies; FORM=secure turns TLS and zstd on.

import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { measureProduct } from './product.ts'
import { SIZES, shown, TIMES } from './report.ts'
import { type CpuProfile, selfTimes, tableOfSelfTimes } from './self-time.ts'

const ROWS = 15
const root = join(import.meta.dirname, '..')
const dir = join(import.meta.dirname, '.work', 'profile')

rmSync(dir, { recursive: true, force: true })
mkdirSync(dir, { recursive: true })
// The hub is told by its environment: bench/stage.ts.
process.env.PROFILE = dir
const [bodyBytes = 256] = SIZES
const secure = process.env.FORM === 'secure'
const flow = await measureProduct(bodyBytes, TIMES, {
  profileDir: dir,
  ...(secure ? { tls: true, compression: 'zstd', bodies: 'records' } : {}),
})
const { producer, server, consumer } = flow.pids
console.log(`${shown(flow.perSecond)} msg/s of ${bodyBytes} B while profiled, which slows everything down\n`)
for (const [name, pid] of Object.entries({ hub: server, producer, consumer })) {
  // CPU.<day>.<time>.<pid>.<thread>.<number>.cpuprofile: a process has one for each of its threads.
  const files = readdirSync(dir).filter((file) => file.split('.')[3] === String(pid))
  if (files.length === 0) console.log(`${name}: it wrote no profile`)
  for (const file of files.sort()) {
    const profile = JSON.parse(readFileSync(join(dir, file), 'utf8')) as CpuProfile
    const thread = file.split('.')[4]
    const title = thread === '0' ? name : `${name}, thread ${thread}`
    console.log(`${tableOfSelfTimes(title, selfTimes(profile, root), ROWS)}\n  bench/.work/profile/${file}\n`)
  }
}
