export { HashPool } from './pool.ts'
