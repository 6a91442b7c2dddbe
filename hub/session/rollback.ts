// What happens when an agent proves that the store was rolled back: it was told, under this very store id, that something is
// durable which is not there.
//
// An agent can also lie about it. A lie costs a new store id: every session begins again, and consumers that recognise messages
// by position alone may do some twice. So a running hub believes it once; whatever rolls its folder back also starts it anew.
// (A virtual machine put back to a snapshot while it runs forgets with it that it believed.)

import type { HubStore } from '#hub/store/mod.ts'
import type { Fault } from '#protocol/base/mod.ts'
import { hubSessionFault } from './faults.ts'

/** What an agent was told to be durable, and what is. */
export type RollbackClaim = {
  readonly agent: string
  readonly stream: string
  readonly epoch: number
  readonly knownSeq: number
  readonly durableSeq: number
}

export class RollbackGuard {
  private readonly options: {
    readonly store: Pick<HubStore, 'renewId'>
    log(level: 'error', message: string, details: Readonly<Record<string, unknown>>): void
    /** Ends every connection, also those that are still shaking hands: they have been told the old id, or will be. */
    closeAll(fault: Fault): void
  }
  private state: 'unclaimed' | 'renewing' | 'renewed' = 'unclaimed'
  private toldOfMore = false

  constructor(options: RollbackGuard['options']) {
    this.options = options
  }

  /**
   * The claim is not answered: the connection it came over ends soon, as all others do. Faults: `ROLLBACK_CLAIMED_AGAIN`
   * (thrown) when the hub has already believed one since it started.
   */
  claimed(claim: RollbackClaim): void {
    const { store, log, closeAll } = this.options
    const { agent, stream, epoch, knownSeq, durableSeq } = claim
    const where = `${agent}/${stream}/${epoch}`
    const why = `the agent was told that numbers up to ${knownSeq} are stored, and the store ends at ${durableSeq}`
    // Agents that come back together all say the same.
    if (this.state === 'renewing') return
    if (this.state === 'renewed') {
      const fault = hubSessionFault('ROLLBACK_CLAIMED_AGAIN', { where, why })
      if (!this.toldOfMore) log('error', 'store rolled back again, says an agent', { fault: fault.toJSON() })
      this.toldOfMore = true
      throw fault
    }
    this.state = 'renewing'
    const fault = hubSessionFault('STORE_ROLLED_BACK', { where, why, retry: true })
    log('error', 'store rolled back', { fault: fault.toJSON() })
    void store.renewId().then(() => {
      this.state = 'renewed'
      closeAll(fault)
    })
  }
}
