// For the test of `AskedThread`: a thread that says what it is asked; and, as a program, one that asks such a thread.

import { isMainThread } from 'node:worker_threads'
import { AskedThread, answerQuestions } from './mod.ts'

type Wish = { readonly fail?: string; readonly end?: boolean } | null

answerQuestions((question: Wish) => {
  if (question?.fail !== undefined) throw Object.assign(new Error('as asked for'), { code: question.fail })
  if (question?.end === true) process.exit(3)
  return question
})

if (isMainThread) {
  const thread = new AskedThread(new URL(import.meta.url), 'test')
  if (process.argv[2] === 'held') thread.hold()
  process.stdout.write((await thread.ask('answered')) as string)
}
