// Messages through a running hub that decides by their content, or makes others of them: from the producer until the consumer has settled
// what came of all of them.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from '#agent/client/mod.ts'
import { loadIdentity } from '#agent/identity/mod.ts'
import { askHub } from '#hub/management/mod.ts'
import { bringFiles } from '#hub/router/mod.ts'
import { cpuSeconds, Stage } from '../stage.ts'
import { conditions, documents } from './sample.ts'

export type Through = { readonly perSecond: number; readonly hubCpuMicros: number; readonly hubRssMb: number }

const UNDER_WAY_MAX = 2_000

const MAPPING = {
  root: {
    grant: {
      '@no': 'permit/@number',
      kind: 'permit/@kind',
      office: 'permit/office/name',
      holder: 'permit/holder/name',
      area: { $format: { $multiply: ['permit/area', 10] }, decimals: 1 },
      file: { $forEach: "permit/files/file[@type = 'pdf']", '@size': '@size', $content: 'title' },
    },
  },
}

/** Rules of which one fits all, behind others that ask for the content. */
const RULES = {
  content: {
    rules: [
      ...conditions().map((when, i) => ({ name: `condition ${i}`, topics: 'permits/#', when, to: 'some' })),
      { name: 'all', topics: 'permits/#', when: { xpath: '/permit/@number' }, to: 'out' },
    ],
  },
  mapping: {
    rules: [{ name: 'all', topics: 'permits/#', pipeline: 'grant', to: 'out' }],
    pipelines: { grant: { steps: [{ mapping: { mapping: MAPPING } }] } },
  },
}

export async function measureThrough(kind: keyof typeof RULES, messages: number): Promise<Through> {
  const stage = new Stage()
  try {
    await stage.startHub({ queues: ['out', 'some'].map((name) => ({ name, topics: [] })), tls: false })
    const identities = await Promise.all(['producer', 'consumer'].map((name) => stage.enroll(name, false)))
    const clients = await Promise.all(identities.map((path) => Client.connect({ identity: loadIdentity(path) })))
    const [producer, consumer] = clients as [Client, Client]
    const folder = join(stage.dir, 'rules')
    mkdirSync(folder)
    writeFileSync(join(folder, 'rules.json'), JSON.stringify(RULES[kind]))
    const brought = await bringFiles(join(stage.hubDir, 'routes'), join(folder, 'rules.json'))
    const answer = await askHub<{ refused?: readonly Error[] }>(stage.hubDir, {
      command: 'deploy',
      ...brought,
      by: 'bench',
      note: '',
    })
    if (answer.refused !== undefined) throw new Error(`the rules were refused: ${answer.refused[0]?.message}`)
    const run = (count: number) => through(producer, consumer, count)
    await run(Math.ceil(messages / 10))
    const cpu = cpuSeconds(stage.hubPid)
    const seconds = await run(messages)
    const hubCpuMicros = ((cpuSeconds(stage.hubPid) - cpu) * 1e6) / messages
    const { rssBytes } = await stage.status()
    await Promise.all(clients.map((client) => client.close()))
    return { perSecond: messages / seconds, hubCpuMicros, hubRssMb: rssBytes / 1e6 }
  } finally {
    await stage.end()
  }
}

/** Seconds. */
async function through(producer: Client, consumer: Client, count: number): Promise<number> {
  const subscription = await consumer.subscribe({ queue: 'out' })
  const publisher = producer.publisher({ stream: 'permits' })
  const bodies = documents()
  const headers = { ':content-type': 'application/xml' }
  const start = performance.now()
  const publishing = (async () => {
    let underWay: Promise<unknown>[] = []
    for (let i = 0; i < count; i++) {
      underWay.push(publisher.publish({ topic: 'permits/x', headers, body: bodies[i % bodies.length] as Buffer }))
      if (underWay.length < UNDER_WAY_MAX) continue
      await Promise.all(underWay)
      underWay = []
    }
    await Promise.all(underWay)
  })()
  for (let received = 0; received < count; ) {
    const delivery = await subscription.next()
    if (delivery === null) throw new Error('the subscription ended')
    received += delivery.count
    await delivery.settle()
  }
  await publishing
  subscription.close()
  return (performance.now() - start) / 1000
}
