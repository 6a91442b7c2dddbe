export { HashPool, sharedBuffer } from './pool.ts'
