// The other side of `AskedThread`: a worker's main file calls `answerQuestions` once.

import { parentPort } from 'node:worker_threads'
import type { Answer, Asked } from './asked-thread.ts'

/** What `answer` throws is told with its code, if it has one. */
export function answerQuestions<Question>(answer: (question: Question) => unknown): void {
  parentPort?.on('message', ({ id, question }: Asked) => {
    parentPort?.postMessage({ id, ...attempt(() => answer(question as Question)) } satisfies Answer)
  })
}

function attempt(work: () => unknown): Omit<Answer, 'id'> {
  try {
    return { value: work(), problem: null }
  } catch (error) {
    const { code, message } = error as { code?: unknown; message: string }
    return { value: undefined, problem: { code: String(code ?? ''), why: message } }
  }
}
