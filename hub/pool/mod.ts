export { Hashing } from './hashing.ts'
