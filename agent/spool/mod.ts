// The agent's store-and-forward: sealed batches on disk until the hub has them.

export type { Spool, SpoolEntry, SpooledBatch, SpoolStream, SpoolUsage } from './contract.ts'
export { openSpool, type SpoolOptions } from './spool.ts'
