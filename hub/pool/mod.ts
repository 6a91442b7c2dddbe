export { Hashing } from './hashing.ts'
export { SharedBuffers } from './shared-buffers.ts'
