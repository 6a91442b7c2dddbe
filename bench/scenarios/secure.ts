// What TLS 1.3, compression and signatures leave of `durable-e2e`, with bodies as real ones are: rows with varied values.
// The plain flow is measured before and after; in between what each step alone costs.

import { measureProduct, type ProductFlow, type ProductSettings, productConditions, rateName } from '../product.ts'
import { isShortened, type Say, type ScenarioResult, TIMES, timesText } from '../report.ts'

const WANTED = 0.6
const BODY_BYTES = 256
const bodies = 'records' as const

const secured: ProductSettings = { bodies, tls: true, compression: 'zstd' }
const others: Readonly<Record<string, { settings: ProductSettings; says: string }>> = {
  'tls-only': { settings: { bodies, tls: true }, says: 'TLS 1.3, signed batches, no compression' },
  'zstd-only': { settings: { bodies, compression: 'zstd' }, says: 'zstd, signed batches, no TLS' },
  'with-proofs': {
    settings: { ...secured, proof: 'message' },
    says: 'TLS 1.3, zstd, and a signed tree over the messages of each batch, so that each can be proven by itself',
  },
}

export async function secure(say: Say): Promise<ScenarioResult> {
  const notes: string[] = []
  const flow = async (name: string, settings: ProductSettings) => {
    say(`${name} …`)
    const measured = await measureProduct(BODY_BYTES, TIMES, settings)
    const { lost, outOfOrder } = measured
    if (lost !== 0 || outOfOrder !== 0) notes.push(`${name}: ${lost} lost, ${outOfOrder} out of order`)
    return measured
  }
  const before = await flow('plain', { bodies })
  const peers: Record<string, Record<string, number>> = {}
  const first = await flow('TLS and zstd', secured)
  for (const [name, { settings }] of Object.entries(others)) peers[name] = measuresOf([await flow(name, settings)])
  const ours = measuresOf([first, await flow('TLS and zstd again', secured)])
  peers.plain = measuresOf([before, await flow('plain again', { bodies })])
  const rate = rateName(BODY_BYTES)
  const got = (ours[rate] as number) / (peers.plain[rate] as number)
  return {
    scenario: 'secure',
    unit: 'msg/s',
    params: {
      ...productConditions,
      secured: 'TLS 1.3 on both connections, zstd level 1 per batch, signatures as above',
      bodies: `${BODY_BYTES} bytes on average: JSON rows with varied names, numbers, dates and notes, none twice in 4,096`,
      measured: `${timesText()}; plain and secured twice, the mean counts`,
    },
    ours,
    peers,
    conditions: {
      plain: 'the same flow and bodies over TCP: signed batches, no compression',
      ...Object.fromEntries(Object.entries(others).map(([name, { says }]) => [name, says])),
    },
    targets: [{ name: 'of-plain', want: `>= ${WANTED}`, got, ok: got >= WANTED }],
    notes,
    shortened: isShortened,
  }
}

function measuresOf(flows: readonly ProductFlow[]): Record<string, number> {
  const mean = (of: (flow: ProductFlow) => number) => flows.reduce((sum, flow) => sum + of(flow), 0) / flows.length
  return {
    [rateName(BODY_BYTES)]: mean((flow) => flow.perSecond),
    'bytes on the wire per message': mean((flow) => flow.wireBytes),
    'cores of producer': mean((flow) => flow.cores.producer),
    'cores of hub': mean((flow) => flow.cores.server),
    'cores of consumer': mean((flow) => flow.cores.consumer),
  }
}
