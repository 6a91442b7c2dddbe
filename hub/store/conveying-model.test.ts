// Random work against a model: messages come in, are conveyed as they are and as others, given back, consumed, rejected, redriven and
// purged, while transactions fail, queues are forgotten and the hub dies at any step. Nothing is lost, doubled or out of order; in the
// end nothing is left over. MODEL_STEPS= does more, SEED= the same again.

import t, { type Test } from 'tap'
import { Random, testSeed } from '#protocol/bytes/testing.ts'
import type { Headers } from '#protocol/codec/mod.ts'
import { checkStore } from './check.ts'
import { compactStore } from './compact.ts'
import { baseOf, batchOf, type Id, leased, type Out, World } from './conveying-model.testing.ts'
import type { Lane } from './lane.ts'
import type { Queue } from './queue.ts'
import { failureOf } from './scene.testing.ts'
import { placement } from './testing.ts'

const STEPS = Number(process.env.MODEL_STEPS ?? 500)
const STREAMS = ['s0', 's1', 's2'] as const
const PRIORITIES = ['normal', 'urgent', 'bulk'] as const
const CONTENTS = ['a', 'b', 'c'].map((digit) => digit.repeat(32))
const SUB = 'agent:sub'
const turn = () => new Promise((resolve) => setImmediate(resolve))

class Run {
  readonly counts: Record<string, number> = {}
  private readonly t: Test
  private readonly random: Random
  private readonly world: World
  private outs = new Map<Lane, Out[]>()
  private generation = 0
  private underWay = new Set<Promise<unknown>>()
  private readonly homes = new Map<Id, string>()

  constructor(t: Test, random: Random, world: World) {
    this.t = t
    this.random = random
    this.world = world
  }

  async declare(): Promise<void> {
    const { scene } = this.world
    await scene.queue('work', { order: 'stream', partitions: 4 })
    for (const name of ['a', 'b', 'c']) await scene.queue(name)
    await scene.queue(SUB, {}, 'agent')
  }

  async step(): Promise<void> {
    const { random, world } = this
    if (world.image !== null) return await this.recover()
    const kind = random.below(100)
    if (kind < 22) this.put()
    else if (kind < 42) this.take()
    else if (kind < 62) this.conveyAll()
    else if (kind < 84) this.consume(random.pick(['a', 'b', 'c', SUB]))
    else if (kind < 87) this.giveBack()
    else if (kind < 90) await this.redrive()
    else if (kind < 92) await this.purge()
    else if (kind < 93) await this.forget()
    else if (kind < 95) world.scene.failing = random.below(3)
    else if (kind < 97) world.crashAfter(1 + random.below(8))
    else if (kind < 99 || random.oneIn(2)) await this.settled()
    else await this.restart()
    if (random.oneIn(2)) await turn()
  }

  /** Everything goes on to where it ends; nothing is left. */
  async end(): Promise<void> {
    const { world } = this
    await this.settled()
    const { scene } = world
    scene.failing = 0
    world.crashAfter(0)
    for (const lane of [...this.outs.keys()]) this.giveBack(lane)
    this.compareNow('before the end')
    for (const queue of world.store.queues.all()) {
      if (queue.info.name.startsWith('receipts/')) continue
      for (const lease of scene.takeAll(queue)) await scene.settle(lease)
    }
    const told = (await scene.receipts()).flatMap(({ stream, from, to }) =>
      Array.from({ length: to - from + 1 }, (_, i) => idOf(stream, from + i)),
    )
    this.t.strictSame(told.toSorted(), [...world.model.asked].toSorted(), 'the end of each is told once')
    const { batches, holds } = await scene.contents(this.t)
    this.t.same([batches.size, holds.size], [0, 0], 'nothing is left')
    this.t.match(await checkStore(scene.dataDir), { ok: true, damaged: [], problems: [] })
  }

  private count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1
  }

  private follow(promise: Promise<unknown>): void {
    const followed = promise.finally(() => this.underWay.delete(followed))
    this.underWay.add(followed)
  }

  private put(): void {
    const { random, world } = this
    const s = random.below(STREAMS.length)
    const name = STREAMS[s] as string
    const stream = world.store.stream('agent', name, 1)
    const firstSeq = stream.plannedSeq + 1
    const ids = Array.from({ length: 1 + random.below(6) }, (_, i) => idOf(name, firstSeq + i))
    const headers: Record<string, string> = s === 0 ? {} : { ':priority': PRIORITIES[s] as string }
    if (random.oneIn(4)) headers[':content'] = random.pick(CONTENTS)
    const final = random.oneIn(2)
    const batch = batchOf(random, ids, { origin: 'agent', stream: name, firstSeq, headers: headers as Headers, final })
    const work = world.scene.named('work')
    const appended = world.store.append(stream, batch, [placement(work, batch, { partition: s })])
    world.store.closeStream(stream)
    const change = { removes: [], adds: ids.map((id) => ['work', id] as const), asks: final ? ids : [] }
    // What is refused is sent again with the next batch.
    this.follow(world.begin(change, appended).catch(() => this.count('refused')))
    this.count('put')
  }

  private take(): void {
    const { random, world } = this
    const { store } = world
    const lease = store.take(world.scene.named('work'), 1 + random.below(6), this)
    if (lease === null) return
    const ids = leased(store, lease)
    const makes = ids.flatMap((id) => {
      const generation = String(++this.generation).padStart(6, '0')
      return random.oneIn(2) ? Array.from({ length: 1 + random.below(2) }, (_, i) => `${id}>${generation}.${i}`) : []
    })
    const named = (names: readonly string[]) => names.map((name) => world.scene.named(name))
    const wanted = ['a', 'b', 'c', SUB].filter(() => random.oneIn(2))
    const madeTo = named(wanted.length === 0 ? ['a'] : wanted)
    const to = ids.map((id) => named(this.targets(id)))
    const out: Out = { lane: lease.lane, lease, ids, to, makes, madeTo, made: null, keeping: false }
    this.outs.set(lease.lane, [...(this.outs.get(lease.lane) ?? []), out])
    this.keep(out)
  }

  /** A message is in a queue once, so that it can be followed. */
  private targets(id: Id): string[] {
    const { random } = this
    const { model } = this.world
    const to = ['a', 'b', 'c', SUB].filter((name) => random.oneIn(3) && !model.mayBeIn(name, id))
    const inDead = model.mayBeIn('$dead', id)
    const free = inDead ? to.filter((name) => name !== 'a') : to
    return random.oneIn(4) && !inDead && !free.includes('a') && !model.mayBeIn('a', id) ? [...free, '$dead'] : free
  }

  private keep(out: Out): void {
    if (out.makes.length === 0 || out.made !== null || out.keeping) return
    const { random, world } = this
    const stream = world.store.stream('hub', 'made', 1)
    const headers: Headers = random.oneIn(3)
      ? { ':content': CONTENTS.filter(() => random.oneIn(2)).join(' ') || 'd'.repeat(32) }
      : {}
    const batch = batchOf(random, out.makes, {
      origin: 'hub',
      stream: 'made',
      firstSeq: stream.plannedSeq + 1,
      headers,
    })
    out.keeping = true
    const kept = world.store.conveying.keep(stream, batch).then(
      (made) => Object.assign(out, { made, keeping: false }),
      () => Object.assign(out, { keeping: false }),
    )
    world.store.closeStream(stream)
    this.follow(kept)
    this.count('made')
  }

  private conveyAll(): void {
    for (const lane of [...this.outs.keys()]) this.convey(lane)
  }

  private convey(lane: Lane): void {
    const { world } = this
    const outs = this.outs.get(lane) as Out[]
    const out = outs[0] as Out
    if (out.makes.length > 0 && out.made === null) {
      this.keep(out)
      return
    }
    const goneTo = [...out.to.flat(), ...(out.made === null ? [] : out.madeTo)].some(({ forgotten }) => forgotten)
    const state = String(this.generation)
    const { lease, ids, made } = out
    const leaving = ids.map((id, i) => {
      const to = (out.to[i] as Queue[]).map((queue) => {
        if (queue !== world.store.queues.dead) return { queue, lane: lane.priority }
        this.homes.set(id, 'work')
        return { queue, lane: 0, note: 'why' }
      })
      return { lease, from: lease.from + i, count: 1, to, by: 'router', reason: '' }
    })
    const placed =
      made === null ? [] : [{ made, of: 'x', placements: out.madeTo.map((queue) => placement(queue, made.batch)) }]
    const conveyed = world.store.conveying.convey({ leaving, made: placed, states: [{ name: 'state', text: state }] })
    if (goneTo) {
      // Nothing has happened, and it is decided anew.
      const refused = failureOf(conveyed).then((code) => this.t.equal(code, 'QUEUE_UNKNOWN', 'its queue is forgotten'))
      this.follow(refused)
      this.count('conveyed to a forgotten queue')
      const there = (queues: readonly Queue[]) => queues.filter(({ forgotten }) => !forgotten)
      const [madeTo, to] = [there(out.madeTo), out.to.map(there)]
      Object.assign(out, { to, madeTo: madeTo.length === 0 ? [world.scene.named('b')] : madeTo })
      return
    }
    outs.shift()
    if (outs.length === 0) this.outs.delete(lane)
    const change = {
      removes: ids.map((id) => ['work', id] as const),
      adds: [
        ...ids.flatMap((id, i) => (out.to[i] as Queue[]).map(({ info }) => [info.name, id] as const)),
        ...(made === null ? [] : out.makes.flatMap((id) => out.madeTo.map(({ info }) => [info.name, id] as const))),
      ],
      state,
    }
    this.follow(world.begin(change, conveyed))
    this.count('conveyed')
  }

  /** All that is out of a lane goes back. */
  private giveBack(lane: Lane | undefined = this.random.pick([...this.outs.keys()])): void {
    if (lane === undefined) return
    const { store } = this.world
    const outs = this.outs.get(lane) as Out[]
    if (outs.some(({ keeping }) => keeping)) return
    this.outs.delete(lane)
    this.follow(store.conveying.drop(outs.flatMap(({ made }) => (made === null ? [] : [made]))))
    store.giveBack(
      outs.map(({ lease }) => ({ ...lease, attempt: lease.attempt - 1 })),
      '',
    )
    this.count('given back')
  }

  private consume(name: string): void {
    const { random, world } = this
    const { store } = world
    const lease = store.take(world.scene.named(name), 1 + random.below(8), this)
    if (lease === null) return
    const ids = leased(store, lease)
    const removes = ids.map((id) => [name, id] as const)
    const { from, count } = lease
    if (random.oneIn(6)) {
      store.giveBack([{ ...lease, attempt: lease.attempt - 1 }], '')
      return
    }
    const isRejected = name === 'a' && random.oneIn(3) && !ids.some((id) => world.model.mayBeIn('$dead', id))
    if (isRejected) for (const id of ids) this.homes.set(id, 'a')
    const told = { reason: 'no', by: 'reader' }
    const settled = store.settle(lease, [from, from + count], isRejected ? 'rejected' : 'processed', told)
    const adds = isRejected ? ids.map((id) => ['$dead', id] as const) : []
    this.follow(world.begin({ removes, adds }, settled))
    this.count(isRejected ? 'rejected' : 'consumed')
  }

  private async redrive(): Promise<void> {
    const { world } = this
    const ids = [...world.model.lying('$dead')].filter((id) => !world.model.isLeaving('$dead', id))
    for (const id of ids) this.world.unordered.add(baseOf(id))
    const redriven = world.scene.redrive('$dead')
    const changes = ids.map((id) => ({
      removes: [['$dead', id] as const],
      adds: [[this.homes.get(id) as string, id] as const],
    }))
    await this.crashOr(Promise.all(changes.map((change) => world.begin(change, redriven))))
    this.count('redriven')
  }

  private async purge(): Promise<void> {
    const { world } = this
    const ids = [...world.model.lying('c')].filter((id) => !world.model.isLeaving('c', id))
    const purged = world.scene.purge('c')
    await this.crashOr(Promise.all(ids.map((id) => world.begin({ removes: [['c', id]], adds: [] }, purged))))
    this.count('purged')
  }

  /** While something is on its way to it. */
  private async forget(): Promise<void> {
    const { world } = this
    const sub: Queue = world.scene.named(SUB)
    const forgotten = world.begin({ removes: [], adds: [], forgets: SUB }, world.store.queues.forget(sub))
    await this.crashOr(forgotten)
    if (world.image === null) await this.crashOr(world.scene.queue(SUB, {}, 'agent'))
    this.count('forgotten')
  }

  /** Nothing is under way, and everything is where it should be. */
  private async settled(): Promise<void> {
    while (this.underWay.size > 0 && this.world.image === null) await turn()
    if (this.world.image !== null) return await this.recover()
    this.compareNow('nothing is under way')
  }

  private async restart(): Promise<void> {
    await this.settled()
    const { scene } = this.world
    this.outs = new Map()
    await scene.contents(this.t)
    if (this.random.oneIn(3)) await compactStore(scene.dataDir)
    await scene.restart()
    this.compareNow('after a restart')
    this.count('restarted')
  }

  private async recover(): Promise<void> {
    const { world } = this
    if (world.image === null) return
    this.outs = new Map()
    this.underWay = new Set()
    const underWay = await world.recover(this.t, world.image)
    if (world.store.queues.get(SUB) === undefined) await world.scene.queue(SUB, {}, 'agent')
    this.compareNow(`after a crash with ${underWay} changes under way`)
    this.count('crashed')
    if (underWay > 0) this.count('crashed in changes')
  }

  private compareNow(when: string): void {
    this.world.compare(this.t, when)
  }

  private async crashOr(promise: Promise<unknown>): Promise<void> {
    let isOver = false
    const over = () => {
      isOver = true
    }
    promise.then(over, over)
    while (!isOver && this.world.image === null) await turn()
  }
}

const idOf = (stream: string, seq: number): Id => `${stream}/${String(seq).padStart(6, '0')}`

t.setTimeout(STEPS * 200 + 500_000)
t.test('what is conveyed, against a model', { timeout: STEPS * 200 + 500_000 }, async (t) => {
  const seed = testSeed()
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  const world = await World.open(t)
  const run = new Run(t, random, world)
  await run.declare()
  for (let i = 0; i < STEPS && t.passing(); i++) await run.step()
  await run.end()
  t.comment(JSON.stringify(run.counts))
  for (const what of ['made', 'conveyed', 'consumed']) t.ok((run.counts[what] ?? 0) > 0, what)
})
