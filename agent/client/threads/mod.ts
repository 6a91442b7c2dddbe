export { answerQuestions } from './answering.ts'
export { AskedThread, ThreadError } from './asked-thread.ts'
export { sharedBuffer } from './memory.ts'
