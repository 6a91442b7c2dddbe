// A step that runs in this thread.

import { asFault, Fault } from '#protocol/base/mod.ts'
import type { Channel, Item, Reject } from '../contract.ts'
import type { Call, StepPlace } from './call.ts'

export type HereStep = StepPlace & { readonly channel: Channel; readonly stateful: boolean }

type Given = { readonly items: readonly Item[]; readonly rejects: readonly Reject[] }

/** What passes the step. Throws what its channel throws, unless that is the defect of one item. */
export async function processHere(step: HereStep, items: readonly Item[], call: Call): Promise<readonly Item[]> {
  // One that keeps something has one call.
  const groups = step.stateful ? [items] : call.large.groupsOf(items)
  return recorded(step, items, call, async () => {
    if (groups.length === 1) return together(step, items, call)
    const out: Item[] = []
    const rejects: Reject[] = []
    for (const group of groups) {
      const came = await together(step, group, call)
      out.push(...came.items)
      rejects.push(...came.rejects)
    }
    return { items: out, rejects }
  })
}

async function together(step: HereStep, items: readonly Item[], call: Call): Promise<Given> {
  const { channel } = step
  try {
    const came = await given((reject) => channel.process(items, reject, call.signal))
    return { ...came, items: await call.large.put(came.items) }
  } catch (error) {
    call.large.check()
    if (error instanceof Fault || step.stateful || call.signal?.aborted === true) throw error
    return oneByOne(step, items, { error, call })
  } finally {
    call.large.release()
  }
}

/** What has come due of what the channel kept; with `flush` whatever waits. */
export async function dueHere(
  step: HereStep,
  call: Call,
  { flush }: { readonly flush: boolean },
): Promise<readonly Item[]> {
  const { channel } = step
  return recorded(step, [], call, async () => {
    const came = await given((reject) => (flush ? channel.flush?.(reject) : channel.due?.(reject)) ?? [])
    return { ...came, items: await call.large.put(came.items) }
  })
}

async function recorded(
  step: HereStep,
  items: readonly Item[],
  call: Call,
  act: () => Promise<Given>,
): Promise<readonly Item[]> {
  const digestIn = call.recorded ? call.digestOf(items) : ''
  const begunMs = performance.now()
  const { items: out, rejects } = await act()
  const ms = performance.now() - begunMs
  for (const { item, fault } of rejects) call.refuse(item, fault, step)
  const passing = call.passed(out, step)
  if (call.recorded) {
    const digests = { digestIn, digestOut: call.digestOf(passing) }
    call.record({ step: step.step, type: step.type, itemsIn: items.length, itemsOut: passing.length, ms, ...digests })
  }
  return passing
}

async function given(act: (reject: (reject: Reject) => void) => readonly Item[] | Promise<readonly Item[]>) {
  const rejects: Reject[] = []
  const items = await act((reject) => void rejects.push(reject))
  return { items, rejects }
}

/** Finds the items on which a defect of the channel shows. When it does not show on any alone, it is not theirs. */
async function oneByOne(
  { channel }: HereStep,
  items: readonly Item[],
  { error, call }: { error: unknown; call: Call },
): Promise<Given> {
  const passed: Item[] = []
  const rejects: Reject[] = []
  let repeated = false
  for (const item of items) {
    try {
      const each = await given((reject) => channel.process([item], reject, call.signal))
      passed.push(...(await call.large.put(each.items)))
      rejects.push(...each.rejects)
    } catch (again) {
      call.large.check()
      if (again instanceof Fault || call.signal?.aborted === true) throw again
      repeated = true
      rejects.push({ item, fault: asFault(again) })
    }
  }
  if (!repeated) throw error
  return { items: passed, rejects }
}
