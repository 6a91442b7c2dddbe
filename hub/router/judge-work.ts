// Runs in a thread: conditions on the content of messages.
//
// in   u16 number of conditions wanted, u16 each · u8 length of the content type, Latin-1 · the body
// out  a byte for each: 0 it does not hold, 1 it holds, 2 that cannot be said; then the packed faults of those, as a JSON list

import { packFault } from '#agent/components/isolation/packed-fault.ts'
import type { IsolatedModule } from '#agent/components/isolation/thread.ts'
import { compilePredicates, type PredicateSpec } from '#agent/components/predicates/mod.ts'

const open: IsolatedModule = (configuration) => {
  const predicates = compilePredicates(JSON.parse(configuration) as PredicateSpec[])
  return {
    run: (input) => {
      const count = input.readUInt16LE(0)
      const wanted: number[] = []
      for (let i = 0; i < count; i++) wanted.push(input.readUInt16LE(2 + 2 * i))
      const typeAt = 2 + 2 * count
      const bodyAt = typeAt + 1 + (input[typeAt] as number)
      const type = input.toString('latin1', typeAt + 1, bodyAt)
      const verdicts = predicates.test(input.subarray(bodyAt), type, wanted)
      return verdicts instanceof Promise ? verdicts.then(encode) : encode(verdicts)
    },
    close: () => predicates.dispose(),
  }
}

function encode(verdicts: Awaited<ReturnType<ReturnType<typeof compilePredicates>['test']>>): Buffer {
  const faults: string[] = []
  const bytes = Buffer.allocUnsafe(verdicts.length)
  for (const [i, verdict] of verdicts.entries()) {
    if (typeof verdict !== 'boolean') faults.push(packFault(verdict))
    bytes[i] = verdict === true ? 1 : verdict === false ? 0 : 2
  }
  return faults.length === 0 ? bytes : Buffer.concat([bytes, Buffer.from(JSON.stringify(faults))])
}

export default open
