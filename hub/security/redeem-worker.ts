// A worker for authority.test.ts: redeems every secret it is given at the same moment as its siblings, with a key of
// its own.

import { parentPort, workerData } from 'node:worker_threads'
import { Fault } from '#protocol/base/mod.ts'
import { openInvitations } from './invitations.ts'

const data = workerData as {
  folder: string
  agent: string
  secrets: Uint8Array[]
  keyFingerprint: string
  workers: number
  nowMs: number
  arrived: SharedArrayBuffer
}

const arrived = new Int32Array(data.arrived)
const invitations = openInvitations(data.folder)
const results = data.secrets.map((secret, round) => {
  // All start a round together: the last to arrive wakes the others.
  if (Atomics.add(arrived, round, 1) + 1 === data.workers) Atomics.notify(arrived, round)
  for (let seen = Atomics.load(arrived, round); seen < data.workers; seen = Atomics.load(arrived, round)) {
    Atomics.wait(arrived, round, seen, 1000)
  }
  try {
    invitations.redeem({ agent: data.agent, secret, keyFingerprint: data.keyFingerprint, nowMs: data.nowMs })
    return 'won'
  } catch (error) {
    if (error instanceof Fault) return error.code
    throw error
  }
})
parentPort?.postMessage(results)
