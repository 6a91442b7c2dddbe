// What rows become on their way into the spool.

import t from 'tap'
import type { SpoolEntry, SpoolStream } from '#agent/spool/mod.ts'
import { openBatch } from '#protocol/codec/mod.ts'
import { KEY } from '#protocol/codec/testing.ts'
import type { Row } from '../../contract.ts'
import { collector, portionOf, settingsOf } from '../../support/testing.ts'
import { HubDestination, type HubOutlet } from './destination.ts'
import { hubDestinationSettings } from './settings.ts'

async function sent(settings: object, rows: readonly Row[]) {
  const context = { flow: 'flow', dataDir: 'none' }
  const entries: SpoolEntry[] = []
  const append = async (entry: SpoolEntry) => void entries.push(entry)
  const stream = { name: 'flow', epoch: 1, nextSeq: 1, cursor: null, append } as unknown as SpoolStream
  const outlet = { agent: 'me', key: KEY, openStream: () => stream, wallMs: () => 0, onSealed: () => undefined }
  const destination = new HubDestination(
    settingsOf(hubDestinationSettings, { topic: 'rows', ...settings }),
    outlet as unknown as HubOutlet,
    context,
  )
  await destination.open()
  const { reject, rejects } = collector()
  await destination.write(portionOf(rows, 'cursor'), reject, AbortSignal.timeout(60_000))
  const batches = entries.flatMap((entry) => entry.batches.map(({ bytes }) => openBatch(Buffer.from(bytes))))
  const headers = batches.flatMap((batch) => {
    const message = batch.messages()
    return Array.from({ length: batch.count }, (_, i) => message(i).envelope.headers)
  })
  return { headers, rejects }
}

const type = { ':content-type': 'application/json' }

t.test('urgency, lifetime and delay of a flow are headers of every message', async (t) => {
  t.same((await sent({}, [{ a: 1 }])).headers, [type])
  t.same((await sent({ priority: 'bulk', ttlMs: '1d', delayMs: '5s' }, [{ a: 1 }, { a: 2 }])).headers, [
    { ...type, ':priority': 'bulk', ':ttl': 86_400_000, ':delay': 5000 },
    { ...type, ':priority': 'bulk', ':ttl': 86_400_000, ':delay': 5000 },
  ])
})

t.test('a field may say how urgent its row is; where it says nothing the flow does', async (t) => {
  const settings = { priority: 'bulk', headers: { ':priority': 'urgency', area: 'area' } }
  const rows = [{ urgency: 'urgent', area: 'n' }, { area: 'n' }, { urgency: null, area: null }]
  t.same((await sent(settings, rows)).headers, [
    { ...type, ':priority': 'urgent', area: 'n' },
    { ...type, ':priority': 'bulk', area: 'n' },
    { ...type, ':priority': 'bulk', area: null },
  ])
  t.same((await sent({ headers: { by: 'constructor' } }, [{ a: 1 }])).headers, [{ ...type, by: null }])
})

t.test('a row whose field has no meaning for the hub is set aside; equal ones behind it too', async (t) => {
  const rows = [{ urgency: 'asap' }, { urgency: 'asap' }, { urgency: 'urgent' }]
  const { headers, rejects } = await sent({ headers: { ':priority': 'urgency' } }, rows)
  t.same(headers, [{ ...type, ':priority': 'urgent' }])
  t.match(rejects, [{ fault: { code: 'ATTRIBUTE_INVALID' } }, { fault: { code: 'ATTRIBUTE_INVALID' } }])
})
