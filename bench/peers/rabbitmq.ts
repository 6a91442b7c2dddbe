// RabbitMQ: a durable queue (classic or quorum), persistent messages, publisher confirms, a consumer that acknowledges.
//
// Best settings. One confirm channel with thousands outstanding; a prefetch of thousands and one acknowledgement with
// `multiple` for all messages of a turn. Frames of 128 KB: the client's 4 KB would cut a body of 10 KB in three. Classic
// queues in version 2, the newer storage. No plugins, no statistics, and schedulers that do not spin, because clients and
// server share the machine's cores.

import { realpathSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type ConsumeMessage, connect } from 'amqplib'
import { messagesIn, type OnSettled, type Peer, type Producing, type Server } from './contract.ts'
import { freePort, locate, startServer } from './server.ts'

const QUEUE = 'bench'
const PREFETCH = 4000
const FRAME_BYTES_MAX = 131_072
const clients = `publisher confirms, 2 MB outstanding; prefetch ${PREFETCH}, acknowledged with multiple`

export const rabbitmq: Peer = {
  name: 'rabbitmq',
  program: 'rabbitmq-server',
  variants: [
    {
      name: 'rabbitmq-classic',
      conditions: `durable classic queue (version 2), persistent messages: confirmed when written; ${clients}`,
    },
    {
      name: 'rabbitmq-quorum',
      conditions: `quorum queue of one node: confirmed when its log is flushed; ${clients}`,
    },
  ],
  start: startRabbit,
  tuning: (bodyBytes) => ({
    batch: messagesIn(64 * 1024, bodyBytes, { min: 16, max: 256 }),
    window: messagesIn(2 * 1024 * 1024, bodyBytes, { min: 512, max: 8192 }),
    lag: messagesIn(16 * 1024 * 1024, bodyBytes, { min: 1024, max: 16_384 }),
  }),
  producer: startProducer,
  consumer: startConsumer,
}

const queueArguments: Readonly<Record<string, Record<string, string | number>>> = {
  'rabbitmq-classic': { 'x-queue-type': 'classic', 'x-queue-version': 2 },
  'rabbitmq-quorum': { 'x-queue-type': 'quorum' },
}

async function startRabbit(dir: string): Promise<Server> {
  const [port, mapperPort, nodePort] = [await freePort(), await freePort(), await freePort()]
  const file = (name: string, text: string) => {
    writeFileSync(join(dir, name), text)
    return join(dir, name)
  }
  const env = {
    HOME: dir,
    ERL_EPMD_PORT: String(mapperPort),
    RABBITMQ_NODENAME: `bench-${port}@localhost`,
    RABBITMQ_DIST_PORT: String(nodePort),
    RABBITMQ_MNESIA_BASE: join(dir, 'mnesia'),
    RABBITMQ_LOG_BASE: join(dir, 'log'),
    RABBITMQ_GENERATED_CONFIG_DIR: join(dir, 'config'),
    RABBITMQ_CONF_ENV_FILE: file('rabbitmq-env.conf', ''),
    RABBITMQ_ENABLED_PLUGINS_FILE: file('enabled_plugins', '[].\n'),
    RABBITMQ_CONFIG_FILE: file('rabbitmq.conf', `listeners.tcp.1 = 127.0.0.1:${port}\nlog.file.level = warning\n`),
    // With input allowed its script becomes the server instead of staying in front of it.
    RABBITMQ_ALLOW_INPUT: '1',
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-noinput +sbwt none +sbwtdcpu none +sbwtdio none',
  }
  // Erlang's port mapper: without one of ours the server would leave a daemon behind.
  const mapper = await startServer({
    program: 'epmd',
    args: ['-port', String(mapperPort), '-address', '127.0.0.1'],
    dir,
    port: mapperPort,
  })
  try {
    const server = await startServer({ program: scriptOfServer(), args: [], dir, port, env })
    return { ...server, stop: () => server.stop().finally(mapper.stop) }
  } catch (error) {
    await mapper.stop()
    throw error
  }
}

/** Debian puts a wrapper in the PATH that becomes another user; the script itself is beside the wrapper. */
function scriptOfServer(): string {
  return join(dirname(realpathSync(locate('rabbitmq-server') ?? '')), 'rabbitmq-server')
}

async function open(port: number) {
  const settings = { hostname: '127.0.0.1', port, frameMax: FRAME_BYTES_MAX, heartbeat: 0 }
  const connection = await connect(settings, { noDelay: true })
  connection.on('error', fail)
  return connection
}

async function startProducer(port: number): Promise<Producing> {
  const channel = await (await open(port)).createConfirmChannel()
  return {
    send(bodies, acknowledged) {
      const confirmed = (error: unknown) => (error ? fail(error) : acknowledged(1))
      for (const body of bodies) channel.publish('', QUEUE, body, { persistent: true }, confirmed)
    },
  }
}

async function startConsumer(port: number, variant: string, onSettled: OnSettled): Promise<void> {
  const channel = await (await open(port)).createChannel()
  await channel.assertQueue(QUEUE, { durable: true, arguments: queueArguments[variant] })
  await channel.prefetch(PREFETCH)
  let turn: ConsumeMessage[] = []
  const settle = () => {
    const settled = turn
    turn = []
    const last = settled.at(-1)
    if (last !== undefined) channel.ack(last, true)
    onSettled(settled.map(({ content }) => content))
  }
  await channel.consume(QUEUE, (message) => {
    if (message === null) fail(new Error('the queue is gone'))
    else if (turn.push(message) === 1) setImmediate(settle)
  })
}

function fail(error: unknown): never {
  throw error
}
