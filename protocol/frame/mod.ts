export * from './kinds.ts'
export * from './limits.ts'
export { FrameReader, type OnFrame } from './reader.ts'
export { frameOf, frameStart, writeFrameHeader } from './writer.ts'
