// Reporting refused rows from a destination.
//
// The contract lets `reject` return nothing. Should a runtime's `reject` write the row away and return a promise, the destination
// waits for it before it commits: then no crash between commit and writing away can lose a refused row.

import type { Reject } from '../contract.ts'

export async function reportAll(rejects: readonly Reject[], reject: (reject: Reject) => unknown): Promise<void> {
  const pending: Promise<unknown>[] = []
  for (const each of rejects) {
    const result = reject(each)
    if (result instanceof Promise) pending.push(result)
  }
  await Promise.all(pending)
}
