// The reading thread: does what `ReadingThread` asks, in the order asked for, and answers each.

import { parentPort } from 'node:worker_threads'
import { ContentFile, FileProblem } from './content-file.ts'
import type { Answer, Job } from './thread.ts'

const files = new Map<number, ContentFile>()

parentPort?.on('message', ({ id, job }: { id: number; job: Job }) => {
  parentPort?.postMessage({ id, ...attempt(job) } satisfies Answer)
})

function attempt(job: Job): Omit<Answer, 'id'> {
  try {
    return { value: done(job), problem: null }
  } catch (error) {
    const code = error instanceof FileProblem ? error.code : 'CONTENT_UNREADABLE'
    return { value: undefined, problem: { code, why: (error as Error).message } }
  }
}

function done(job: Job): unknown {
  if (job.kind === 'open') {
    const file = new ContentFile(job.path)
    files.set(job.file, file)
    return file.stamp
  }
  const file = files.get(job.file)
  if (file === undefined) throw new Error('the file is not open')
  if (job.kind === 'plan') return file.plan(job)
  if (job.kind === 'next') return file.next(Buffer.from(job.memory))
  if (job.kind === 'read') return file.read(Buffer.from(job.memory), job)
  if (job.kind === 'check') return file.check()
  files.delete(job.file)
  return file.close()
}
