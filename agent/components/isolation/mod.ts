// Runs work in threads, within bounds on its time and memory.

export { type Configuration, configurationOf, retire } from './configuration.ts'
export { isolationFault } from './faults.ts'
export {
  ITEM_TIME_MS_DEFAULT,
  MEMORY_BYTES_DEFAULT,
  MEMORY_BYTES_MIN,
  THREADS_DEFAULT,
} from './limits.ts'
export { packFault, unpackFault } from './packed-fault.ts'
export { type Failure, IsolatedPool, type Outcome, type PoolLimits, type Run } from './pool.ts'
export type { IsolatedModule, IsolatedWork } from './thread.ts'
