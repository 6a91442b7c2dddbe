// Plays a story: gives each command to the hub, the network or an agent, lets time pass, and writes down what was told.

import type { QueuePolicy } from '#hub/store/mod.ts'
import type { SimQueue } from '../simulation/hub.ts'
import { type Cast, Stage } from '../simulation/stage.ts'
import { Actor } from './actor.ts'
import { type Block, type Command, durationMs, parseCommand } from './story.ts'

/** Who may appear; groups are for multicast. */
export const CAST = {
  alice: {},
  bob: { groups: ['north'] },
  carol: { groups: ['north', 'south'] },
  dave: {},
} as const

/** What passes after a block that does not say. */
const BLOCK_MS = 100
const OPERATION_MS_MAX = 60_000

/** The blocks with the output they have now. */
export async function playStory(cast: Cast, blocks: readonly Block[]): Promise<Block[]> {
  await using player = new Player(cast)
  const played: Block[] = []
  for (const block of blocks) played.push({ ...block, output: await player.block(block.commands) })
  return played
}

class Player implements AsyncDisposable {
  private readonly stage: Stage
  private readonly queues: SimQueue[] = []
  private readonly actors = new Map<string, Actor>()
  private output: string[] = []

  constructor(cast: Cast) {
    this.stage = new Stage({ cast, seed: 1, queues: this.queues, contents: true, disk: { latencyMsMax: 0 } })
    const { network } = this.stage
    network.baseMs = 1
    network.jitterMs = 0
    network.tears = false
    for (const name of Object.keys(CAST)) {
      this.actors.set(name, new Actor(this.stage, name, (text) => this.tell(text)))
    }
  }

  async block(commands: readonly string[]): Promise<readonly string[]> {
    this.output = []
    let waited = false
    for (const line of commands) {
      const command = parseCommand(line)
      waited = command.who === 'wait'
      try {
        await this.run(command)
      } catch (error) {
        throw new Error(`${line}: ${(error as Error).message}`, { cause: error })
      }
    }
    if (!waited) await this.stage.world.advance(BLOCK_MS)
    for (const actor of this.actors.values()) actor.report()
    return this.output.length === 0 ? ['(nothing)'] : this.output
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stage[Symbol.asyncDispose]()
  }

  private tell(text: string): void {
    const { nowMs } = this.stage.world
    const time = nowMs < 10_000 ? `${Math.round(nowMs)}ms` : `${(nowMs / 1000).toFixed(1)}s`
    this.output.push(`${time} ${text}`)
  }

  private async run(command: Command): Promise<void> {
    const { who, verb } = command
    if (who === 'queue') return void this.queues.push(queueOf(command))
    if (who === 'wait') return await this.stage.world.advance(durationMs(verb))
    if (who === 'hub') return await this.hub(command)
    if (who === 'network') return this.network(command)
    const actor = this.actors.get(who)
    const act = actor?.verbs[verb]
    if (act === undefined) throw new Error(`nobody knows what that is`)
    act(command)
    // What a command does at once is done before the next one begins.
    await this.stage.world.settle()
  }

  private async hub({ verb, words, settings }: Command): Promise<void> {
    const { hub, world } = this.stage
    const done = async (promise: Promise<void>) => await world.outcome(promise, verb, OPERATION_MS_MAX)
    if (verb === 'starts') return await done(hub.start())
    if (verb === 'stops') return await done(hub.stop())
    if (verb === 'dies') return await hub.kill()
    const { running } = hub
    if (running === null) throw new Error('the hub does not run')
    const [name = ''] = words
    const progress = { report: () => undefined, cancelled: false }
    if (verb === 'shows') {
      const queue = running.store.queues.get(name)
      if (queue === undefined) return this.tell(`hub: there is no queue ${name}`)
      const { depth, inFlight, delayed } = running.admin.view(queue)
      this.tell(`hub: ${name} holds ${depth}, ${inFlight} in flight, ${delayed} delayed`)
      for (const { preview, reason, from } of running.admin.peek(name, { limit: 20, filter: {} })) {
        this.tell(`hub:   ${preview}${reason === '' ? '' : `, ${reason}`}${from === null ? '' : `, from ${from}`}`)
      }
    } else if (verb === 'redrives') {
      const filter = settings.has('reason') ? { reason: settings.get('reason') as string } : {}
      const work = world.within(running.process, () => running.admin.redrive(name, { filter }, progress))
      const { moved, left } = await world.outcome(work, verb)
      this.tell(`hub: ${moved} moved, ${left} left`)
    } else throw new Error('nobody knows what that is')
  }

  private network({ verb, words }: Command): void {
    const { network } = this.stage
    const [name = ''] = words
    if (verb === 'cuts') {
      for (const line of network.lines) if (line.agent === name) line.break({ agent: 'told', hub: 'told' })
    } else if (verb === 'hides') network.cutOffAgent(name)
    else if (verb === 'shows') network.join(name)
    else throw new Error('nobody knows what that is')
  }
}

function queueOf({ verb: name, words, settings }: Command): SimQueue {
  const number = (setting: string, as: string) => (settings.has(setting) ? { [as]: Number(settings.get(setting)) } : {})
  const ms = (setting: string, as: string) =>
    settings.has(setting) ? { [as]: durationMs(settings.get(setting) as string) } : {}
  const text = (setting: string, as: string) => (settings.has(setting) ? { [as]: settings.get(setting) } : {})
  const policy = {
    ...text('order', 'order'),
    ...number('partitions', 'partitions'),
    ...number('max', 'messagesMax'),
    ...text('full', 'onFull'),
    ...number('deliver', 'maxDeliver'),
    ...text('dead', 'deadLetter'),
    ...text('expire', 'onExpire'),
    ...ms('age', 'ageMsMax'),
    ...ms('retain', 'retainMs'),
  } as Partial<QueuePolicy>
  return { name, topics: words.length > 0 ? words : [`${name}/#`], policy }
}
