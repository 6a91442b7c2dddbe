// Mosquitto: MQTT 3.1.1, QoS 1 both ways, a persistent session of the consumer.
//
// Best settings. No bound on messages in flight or queued (20 and 1000 by default: the first makes it wait, the second
// loses messages), TCP_NODELAY. Persistence is on as its package sets it: what is queued is saved every half hour and at the
// end, and no acknowledgement waits for it. Both clients are MQTT.js; packet identifiers bound what is outstanding to 65,535.

import { writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import { messagesIn, type OnSettled, type Peer, type Producing, type Server } from './contract.ts'
import { freePort, startServer } from './server.ts'

const TOPIC = 'bench/x'

export const mosquitto: Peer = {
  name: 'mosquitto',
  program: 'mosquitto',
  variants: [
    {
      name: 'mosquitto-qos1',
      conditions:
        'QoS 1, persistence on with its default autosave: acknowledged in memory, up to 30 min may be lost; ' +
        '2 MB outstanding, no bound in flight',
    },
  ],
  start: startMosquitto,
  tuning: (bodyBytes) => ({
    batch: messagesIn(64 * 1024, bodyBytes, { min: 16, max: 256 }),
    window: messagesIn(2 * 1024 * 1024, bodyBytes, { min: 512, max: 8192 }),
    lag: messagesIn(16 * 1024 * 1024, bodyBytes, { min: 1024, max: 32_768 }),
  }),
  producer: startProducer,
  consumer: startConsumer,
}

async function startMosquitto(dir: string): Promise<Server> {
  const port = await freePort()
  const path = join(dir, 'mosquitto.conf')
  const settings = [
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
    // Started by root it would become somebody who may not write here.
    `user ${userInfo().username}`,
    'persistence true',
    `persistence_location ${dir}/`,
    'max_inflight_messages 0',
    'max_queued_messages 0',
    'set_tcp_nodelay true',
    'log_type error',
    'log_type warning',
  ]
  writeFileSync(path, `${settings.join('\n')}\n`)
  return await startServer({ program: 'mosquitto', args: ['-c', path], dir, port })
}

const options = { protocolVersion: 4, reconnectPeriod: 0, keepalive: 0, timerVariant: 'native' } as const

async function startProducer(port: number): Promise<Producing> {
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`, { ...options, clientId: 'producer' })
  client.on('error', fail)
  return {
    send(bodies, acknowledged) {
      const done = (error?: Error) => (error ? fail(error) : acknowledged(1))
      for (const body of bodies) client.publish(TOPIC, body, { qos: 1 }, done)
    },
  }
}

async function startConsumer(port: number, _variant: string, onSettled: OnSettled): Promise<void> {
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`, { ...options, clientId: 'consumer', clean: false })
  client.on('error', fail)
  // The client writes the PUBACK when this calls back.
  client.handleMessage = ({ payload }, settle) => {
    settle()
    onSettled([payload as Buffer])
  }
  await client.subscribeAsync(TOPIC, { qos: 1 })
}

function fail(error: unknown): never {
  throw error
}
