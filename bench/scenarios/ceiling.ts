// How much of what sockets and LMDB alone can do is left with the product on top: routing, deduplication, settlement and
// batch signatures on. Measured in turns, ours before and after the ceiling at each size.

import { measureCeiling } from '../ceiling.ts'
import { measureProduct, productConditions, productMeasures, rateName } from '../product.ts'
import { isShortened, type ScenarioResult, SIZES, TIMES, timesText } from '../report.ts'

const WANTED = 0.6

export async function ceiling(say: (text: string) => void): Promise<ScenarioResult> {
  const ours: Record<string, number> = {}
  const raw: Record<string, number> = {}
  const notes: string[] = []
  for (const bodyBytes of SIZES) {
    say(`${bodyBytes} B: causeway …`)
    const before = await measureProduct(bodyBytes, TIMES)
    say(`${bodyBytes} B: sockets and LMDB …`)
    const flow = await measureCeiling(bodyBytes, TIMES)
    say(`${bodyBytes} B: causeway again …`)
    const flows = [before, await measureProduct(bodyBytes, TIMES)]
    Object.assign(ours, productMeasures(bodyBytes, flows))
    raw[rateName(bodyBytes)] = flow.perSecond
    for (const [of, name] of Object.entries({ producer: 'producer', server: 'relay', consumer: 'consumer' } as const)) {
      raw[`cores of ${name}, ${bodyBytes} B`] = flow.cores[of as keyof typeof flow.cores]
    }
    for (const { lost, outOfOrder } of [...flows, flow]) {
      if (lost !== 0 || outOfOrder !== 0) notes.push(`${bodyBytes} B: ${lost} lost, ${outOfOrder} out of order`)
    }
  }
  const [mine, limit] = [ours[rateName(256)], raw[rateName(256)]]
  const got = mine === undefined || limit === undefined ? null : mine / limit
  return {
    scenario: 'ceiling',
    unit: 'msg/s',
    params: { ...productConditions, measured: timesText() },
    ours,
    peers: { 'sockets-and-lmdb': raw },
    conditions: {
      'sockets-and-lmdb':
        'same bodies, batch, window and processes; each batch one LMDB value, flushed before its acknowledgement, then ' +
        'handed on; nothing is routed, deduplicated, signed, settled or deleted',
    },
    targets: [{ name: 'of-ceiling-256', want: `>= ${WANTED}`, got, ok: got === null ? null : got >= WANTED }],
    notes,
    shortened: isShortened,
  }
}
