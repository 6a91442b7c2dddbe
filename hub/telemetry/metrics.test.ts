// What a monitor reads: samples of everything, labels within their bound, counters that never fall.

import t from 'tap'
import { Histogram } from './histogram.ts'
import { Labels, queueLabel } from './labels.ts'
import { HubMeters, type HubStatus, Metrics, NOTHING_COUNTED, type QueueStatus } from './mod.ts'

const NOW_MS = 1_000_000

const queue = (name: string, given: Partial<QueueStatus> = {}): QueueStatus => ({
  name,
  owner: null,
  ephemeral: false,
  topics: [name],
  depth: 0,
  bytes: 0,
  inFlight: 0,
  delayed: 0,
  retained: 0,
  consumers: 0,
  oldestAtMs: null,
  tail: 0,
  counters: NOTHING_COUNTED,
  ...given,
})

function statusOf(queues: readonly QueueStatus[]): HubStatus {
  return {
    name: 'hub',
    storeId: '',
    processId: 1,
    startedAtMs: 0,
    rssBytes: 0,
    listen: { tcp: '', websocket: null },
    sessions: [],
    queues,
    messages: { accepted: 7, duplicate: 0, settled: 3 },
    wire: { bytesIn: 0, bytesOut: 0 },
    store: { bytes: 0, bytesMax: 100, groups: 0 },
    contents: {
      contents: 2,
      bytes: 0,
      bytesMax: 100,
      lostChunks: 1,
      uploads: 0,
      downloads: 0,
      receivedBytes: 50,
      sentBytes: 0,
    },
    http: null,
    links: 3,
  }
}

/** A hub whose queues can be changed, and a look at its metrics. */
function hub(first: readonly QueueStatus[]) {
  const meters = new HubMeters()
  const now = { queues: first }
  const metrics = new Metrics(() => statusOf(now.queues), { meters, wallMs: () => NOW_MS })
  const scrape = async () => {
    const samples = new Map<string, number>()
    for (const line of (await metrics.text()).split('\n')) {
      const match = /^(causeway_\S+(?: \S+)*?) (\S+)$/.exec(line)
      if (match !== null) samples.set(match[1] as string, Number(match[2]))
    }
    return samples
  }
  return { meters, now, scrape }
}

t.test('counters and gauges of hub, queues and agents', async (t) => {
  const counters = { ...NOTHING_COUNTED, in: 12, deadLettered: 2 }
  const { meters, scrape } = hub([
    queue('人口/变更', { depth: 10, bytes: 300, inFlight: 4, consumers: 2, oldestAtMs: NOW_MS - 2500, counters }),
    queue('inbox/a', { depth: 1 }),
    queue('inbox/b', { depth: 2, oldestAtMs: NOW_MS + 5000 }),
    queue('ends-soon', { depth: 3, ephemeral: true }),
  ])
  meters.agent('office').accepted += 12
  meters.agent('office').sessions++
  const samples = await scrape()
  for (const [name, value] of Object.entries({
    causeway_messages_accepted_total: 7,
    causeway_queues: 4,
    causeway_contents: 2,
    causeway_content_lost_chunks: 1,
    causeway_content_received_bytes_total: 50,
    causeway_http_requests_total: 0,
    causeway_links: 3,
    causeway_store_bytes_max: 100,
    'causeway_queue_depth{queue="人口/变更"}': 10,
    'causeway_queue_bytes{queue="人口/变更"}': 300,
    'causeway_queue_in_flight{queue="人口/变更"}': 4,
    'causeway_queue_consumers{queue="人口/变更"}': 2,
    'causeway_queue_oldest_age_seconds{queue="人口/变更"}': 2.5,
    'causeway_queue_in_total{queue="人口/变更"}': 12,
    'causeway_queue_dead_lettered_total{queue="人口/变更"}': 2,
    'causeway_queue_depth{queue="(inbox)"}': 3,
    'causeway_queue_oldest_age_seconds{queue="(inbox)"}': 0,
    'causeway_queue_depth{queue="(other)"}': 3,
    'causeway_agent_accepted_total{agent="office"}': 12,
    'causeway_agent_connected{agent="office"}': 0,
  })) {
    t.equal(samples.get(name), value, name)
  }
  t.notOk(samples.has('causeway_queue_depth{queue="inbox/a"}'))
})

t.test('histograms are cumulative, in seconds, and end with +Inf', async (t) => {
  const { meters, scrape } = hub([queue('permits')])
  const settle = meters.settleMs('permits', false)
  settle.observe(3, 10)
  settle.observe(5)
  settle.observe(90_000_000)
  meters.attempts.observe(1, 4)
  meters.attempts.observe(7)
  meters.commitMs.observe(0.3)
  const samples = await scrape()
  const name = (le: string) => `causeway_queue_settle_seconds_bucket{queue="permits",le="${le}"}`
  t.equal(samples.get(name('0.001')), 0)
  t.equal(samples.get(name('0.005')), 11)
  t.equal(samples.get(name('86400')), 11)
  t.equal(samples.get(name('+Inf')), 12)
  t.equal(samples.get('causeway_queue_settle_seconds_count{queue="permits"}'), 12)
  t.equal(samples.get('causeway_queue_settle_seconds_sum{queue="permits"}'), 90_000.035)
  t.equal(samples.get('causeway_delivery_attempts_bucket{le="1"}'), 4)
  t.equal(samples.get('causeway_delivery_attempts_bucket{le="10"}'), 5)
  t.equal(samples.get('causeway_store_commit_seconds_bucket{le="0.0005"}'), 1)
})

t.test('a name that looks like a label of Prometheus is escaped', async (t) => {
  const { scrape } = hub([queue('a"b\\c', { depth: 1 })])
  t.equal((await scrape()).get('causeway_queue_depth{queue="a\\"b\\\\c"}'), 1)
})

t.test('beyond the bound queues share a series, and its counters never fall', async (t) => {
  const busy = (name: string, count: number) => queue(name, { counters: { ...NOTHING_COUNTED, in: count } })
  const first = Array.from({ length: 200 }, (_, i) => busy(`q${i}`, 1))
  const { now, scrape, meters } = hub([...first, busy('late', 10), busy('later', 5)])
  const other = 'causeway_queue_in_total{queue="(other)"}'
  const before = await scrape()
  t.equal(before.get(other), 15)
  t.equal([...before.keys()].filter((name) => name.startsWith('causeway_queue_in_total')).length, 201)
  now.queues = [...first, busy('later', 6)]
  t.equal((await scrape()).get(other), 15, 'what a queue that is gone had stays counted')
  now.queues = [...first, busy('later', 9)]
  t.equal((await scrape()).get(other), 18)
  const shared = meters.settleMs('later', false)
  t.equal(shared, meters.settleMs('another', false))
  now.queues = [...first.slice(1), busy('later', 9)]
  const after = await scrape()
  t.equal(after.get('causeway_queue_in_total{queue="later"}'), 9, 'it takes the place of one that is gone')
  t.equal(after.get(other), 18)
  t.notOk(after.has('causeway_queue_in_total{queue="q0"}'))
})

t.test('labels', async (t) => {
  const labels = new Labels(2)
  t.same(
    ['a', 'b', 'c', 'a'].map((name) => labels.of(name)),
    ['a', 'b', '(other)', 'a'],
  )
  t.same(labels.keep(new Set(['b', 'c'])), ['a'])
  t.equal(labels.of('c'), 'c')
  t.equal(queueLabel(labels, 'receipts/x', false), '(receipts)')
})

t.test('a histogram takes what a clock that jumps gives it', async (t) => {
  const histogram = new Histogram([1, 10])
  for (const value of [-5, Number.NaN, 0, 1, 1.5, 10, 11]) histogram.observe(value)
  t.same([...histogram.counts], [4, 2, 1])
  t.equal(histogram.sum, 23.5)
})

t.test('agents beyond the bound are counted together', async (t) => {
  const meters = new HubMeters()
  t.equal(meters.agent('a'), meters.agent('a'))
  for (let i = 0; i < 16_384; i++) meters.agent(`agent-${i}`)
  t.equal(meters.agent('one-more'), meters.agent('two-more'))
  t.equal(meters.agents().length, 16_385)
})
