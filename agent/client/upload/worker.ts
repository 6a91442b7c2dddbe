// The reading thread: does what `ReadingThread` asks.

import { answerQuestions } from '../threads/answering.ts'
import { ContentFile } from './content-file.ts'
import type { Job } from './thread.ts'

const files = new Map<number, ContentFile>()

answerQuestions((job: Job): unknown => {
  if (job.kind === 'open') {
    const file = new ContentFile(job.path)
    files.set(job.file, file)
    return { stamp: file.stamp, isPacked: file.isPacked }
  }
  const file = files.get(job.file)
  if (file === undefined) throw new Error('the file is not open')
  if (job.kind === 'plan') return file.plan(job)
  if (job.kind === 'next') return file.next(Buffer.from(job.memory))
  if (job.kind === 'encode') return file.encode(Buffer.from(job.memory), job)
  if (job.kind === 'read') return file.read(Buffer.from(job.memory), job)
  if (job.kind === 'check') return file.check()
  files.delete(job.file)
  return file.close()
})
