// hub.yaml as field specs: names, kinds, bounds, defaults and the manual's text in one place.

import { HEADERS_MAX, patternProblem } from '#protocol/codec/mod.ts'
import { f, type Infer } from '#protocol/fields/mod.ts'
import { KEEPALIVE_MS_MAX, TOKEN_ADDRESSES_MAX } from '#protocol/handshake/mod.ts'
import { PARTITIONS_MAX } from '#protocol/session/mod.ts'
import { addressProblem, hostProblem } from './address.ts'
import {
  CACHE_BYTES_MAX,
  DELIVER_MAX,
  FILE_LENGTH_MAX,
  HOST_LENGTH_MAX,
  KEPT_BYTES_MAX,
  KEPT_MS_MAX,
  MAP_BYTES_MAX,
  MAP_BYTES_MIN,
  QUEUE_MESSAGES_MAX,
  QUEUE_NAME_BYTES_MAX,
  QUEUES_MAX,
  ROUTING_THREADS_MAX,
  SESSIONS_MAX,
  TOPICS_PER_QUEUE_MAX,
  UPLOAD_BYTES_MAX,
  WHERE_VALUE_LENGTH_MAX,
  WHERE_VALUES_MAX,
} from './limits.ts'

const MiB = 2 ** 20
const GiB = 2 ** 30
const SECOND_MS = 1000
const DAY_MS = 86_400_000

/** The hub's own queue that is the default of `deadLetter`. The store, which nothing here may import, makes it. */
export const QUEUE_DEAD = '$dead'

const host = (fallback: string) =>
  f.text({
    doc: 'address to listen on; 0.0.0.0 is every address of this machine',
    maxLength: HOST_LENGTH_MAX,
    check: hostProblem,
    default: fallback,
  })

const port = (doc: string, fallback: number) =>
  f.integer({ doc: `${doc}; 0 takes any free one`, min: 0, max: 65_535, default: fallback })

const tls = f.boolean({
  doc: 'encrypt with TLS 1.3; may be false only when host is a loopback address',
  default: true,
})

const listen = f.object(
  {
    tcp: f.object(
      { host: host('0.0.0.0'), port: port('port of the TCP listener', 7400), tls },
      { doc: 'plain sockets' },
    ),
    websocket: f.object(
      {
        enabled: f.boolean({ doc: 'listen for WebSocket connections', default: true }),
        host: host('0.0.0.0'),
        port: port('port of the WebSocket listener', 7401),
        tls,
        path: f.text({
          doc: 'path of the URL agents connect to',
          maxLength: 200,
          pattern: /^\/[A-Za-z0-9._~/-]*$/,
          example: '/causeway',
          default: '/causeway',
        }),
      },
      { doc: 'the same protocol inside WebSocket, for agents behind an HTTP proxy' },
    ),
    http: f.object(
      {
        enabled: f.boolean({ doc: 'listen for browsers', default: false }),
        host: host('0.0.0.0'),
        port: port('port of the HTTP listener', 7403),
        tls,
        certificate: f.text({
          doc: 'PEM file with the certificate and those above it, from the data folder on; empty: one that the hub makes, of which browsers warn',
          maxLength: FILE_LENGTH_MAX,
          default: '',
        }),
        key: f.text({ doc: 'PEM file with the key of that certificate', maxLength: FILE_LENGTH_MAX, default: '' }),
        url: f.text({
          doc: 'how links begin, when people reach the hub through a proxy or by another name, such as https://files.example.org',
          maxLength: 512,
          pattern: /^(?:https?:\/\/[A-Za-z0-9.:[\]_-]+)?$/,
          default: '',
        }),
        bytesMax: f.bytes({ doc: 'bytes of one uploaded file', min: 1, max: UPLOAD_BYTES_MAX, default: 64 * GiB }),
      },
      { doc: 'large files for people with a browser: they need a link from causeway-hub link' },
    ),
  },
  { doc: 'where agents, and people with a browser, connect' },
)

const messages = (doc: string, fallback: number) =>
  f.integer({ doc: `${doc}; 0 is no limit`, min: 0, max: QUEUE_MESSAGES_MAX, default: fallback })
const bytes = (doc: string, fallback: number) =>
  f.bytes({ doc: `${doc}; 0 is no limit`, max: KEPT_BYTES_MAX, default: fallback })
const time = (doc: string, fallback: number) =>
  f.duration({ doc: `${doc}; 0 is no limit`, max: KEPT_MS_MAX, default: fallback })

const queue = f.object({
  name: f.text({ doc: 'name that consumers ask for', maxLength: QUEUE_NAME_BYTES_MAX, check: queueNameProblem }),
  topics: f.list(
    f.text({
      doc: 'topic pattern: levels separated by /, + is one level, # at the end is any number',
      check: patternProblem,
    }),
    {
      doc: 'messages whose topic fits any of these patterns come here; none: only what rules send here',
      max: TOPICS_PER_QUEUE_MAX,
      lone: true,
      default: [],
    },
  ),
  where: f.record(
    f.list(f.text({ doc: 'value the header may have', minLength: 0, maxLength: WHERE_VALUE_LENGTH_MAX }), {
      doc: 'values the header may have',
      min: 1,
      max: WHERE_VALUES_MAX,
      lone: true,
    }),
    {
      doc: 'only messages whose headers have one of these values, for every header named',
      max: HEADERS_MAX,
      default: {},
    },
  ),
  order: f.choice(['none', 'stream', 'key'], {
    doc: 'whether messages of one producer stream, or with one key, stay in order with several consumers',
    default: 'none',
  }),
  partitions: f.integer({
    doc: 'parts of a queue with an order, each at one consumer at a time; 16 when left out',
    min: 1,
    max: PARTITIONS_MAX,
    optional: true,
  }),
  limits: f.object(
    {
      messages: messages('messages it holds', 0),
      bytes: bytes('bytes it holds', 0),
      ageMs: time('time a message may wait before it expires', 0),
    },
    { doc: 'what it may hold' },
  ),
  onFull: f.choice(['block', 'drop-oldest', 'dead-letter'], {
    doc: 'beyond its limits: senders wait, the oldest message is dropped, or what comes goes to the dead letters',
    default: 'block',
  }),
  maxDeliver: f.integer({
    doc: 'deliveries of one message before it goes to the dead letters; 0 is no limit',
    min: 0,
    max: DELIVER_MAX,
    default: 0,
  }),
  deadLetter: f.text({
    doc: 'queue for what was rejected, tried too often, too late or too much',
    maxLength: QUEUE_NAME_BYTES_MAX,
    default: QUEUE_DEAD,
  }),
  onExpire: f.choice(['dead-letter', 'drop'], {
    doc: 'what becomes of messages that come too late',
    default: 'dead-letter',
  }),
  retain: f.object(
    {
      ms: f.duration({ doc: 'how long settled messages are kept', max: KEPT_MS_MAX, default: 0 }),
      bytes: f.bytes({ doc: 'how many bytes of settled messages are kept', max: KEPT_BYTES_MAX, default: 0 }),
    },
    { doc: 'settled messages kept for replay; with both, whichever is reached first; with neither, none' },
  ),
})

export const hubSpec = f.object({
  name: f.text({
    doc: 'name of this hub; agents see it in their invitation',
    // Also a file name and a certificate's common name: no dot or hyphen at the end.
    pattern: /^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/,
    maxLength: 63,
    example: 'hub-1',
  }),
  listen,
  management: f.object(
    { host: host('127.0.0.1'), port: port('port of health and metrics', 7402) },
    { doc: 'health and metrics; nobody is asked who they are here, so keep it on this machine' },
  ),
  advertise: f.list(f.text({ doc: 'host:port', maxLength: 256, check: addressProblem }), {
    doc: 'addresses written into invitations; without them the TCP host (or the name of this machine) and port',
    min: 1,
    max: TOKEN_ADDRESSES_MAX,
    optional: true,
  }),
  store: f.object(
    {
      mapBytesMax: f.bytes({
        doc: 'bound of the store; senders keep their messages when it is reached',
        min: MAP_BYTES_MIN,
        max: MAP_BYTES_MAX,
        default: 64 * GiB,
      }),
      cacheBytes: f.bytes({
        doc: 'batches kept in memory on their way to consumers',
        min: MiB,
        max: CACHE_BYTES_MAX,
        default: 32 * MiB,
      }),
      freeBytesMin: f.bytes({
        doc: 'space left free on the disk; senders keep their messages when less is free',
        max: KEPT_BYTES_MAX,
        default: 256 * MiB,
      }),
    },
    { doc: 'what is stored before it is acknowledged' },
  ),
  contents: f.object(
    {
      bytesMax: f.bytes({
        doc: 'bound of what is held; senders wait when it is reached',
        min: MAP_BYTES_MIN,
        max: MAP_BYTES_MAX,
        default: 256 * GiB,
      }),
      keepMs: f.duration({
        doc: 'how long a content is kept that no open message refers to, or that its sender does not go on with',
        min: 60 * SECOND_MS,
        max: KEPT_MS_MAX,
        default: 7 * DAY_MS,
      }),
      share: f.choice(['own', 'all'], {
        doc: 'what an agent need not send again: chunks it has sent itself, or those that any agent has sent; with all, whoever can name a chunk learns whether the hub has it, and gets it',
        default: 'own',
      }),
    },
    { doc: 'large content: files and the like, in chunks beside the messages that refer to them' },
  ),
  inbox: f.object(
    {
      messages: messages('messages it holds', 100_000),
      bytes: bytes('bytes it holds', 256 * MiB),
      ageMs: time('time a message may wait before it expires', 30 * DAY_MS),
    },
    { doc: "every agent's inbox: what is addressed to it, to its groups or to all" },
  ),
  receipts: f.object(
    {
      bytesMax: bytes(
        'bytes one agent has not collected; beyond it messages of it that ask for receipts wait, and deliveries are not told',
        64 * MiB,
      ),
    },
    { doc: 'what became of messages, told to agents that asked: kept until they collect it' },
  ),
  deadLetters: f.object(
    {
      keepMs: time('how long they are kept', 0),
      bytesMax: bytes('bytes of each of the two; the oldest go first', 0),
    },
    { doc: "the hub's queues $dead and $unrouted" },
  ),
  trace: f.object(
    {
      keepMs: f.duration({ doc: 'how long it is kept', max: KEPT_MS_MAX, default: 7 * DAY_MS }),
      bytesMax: f.bytes({ doc: 'bytes of it; the oldest goes first', max: KEPT_BYTES_MAX, default: 256 * MiB }),
    },
    { doc: 'what happened to each message, for causeway-hub trace; 0 for either keeps nothing' },
  ),
  limits: f.object(
    {
      sessionsMax: f.integer({ doc: 'agents connected at once', min: 1, max: SESSIONS_MAX, default: 20_000 }),
      handshakeMs: f.duration({
        doc: 'time a connection has to say who it is',
        min: SECOND_MS,
        max: 120 * SECOND_MS,
        default: 10 * SECOND_MS,
      }),
      keepaliveMs: f.duration({
        doc: 'silence after which a connection is asked whether it still lives',
        min: SECOND_MS,
        max: KEEPALIVE_MS_MAX,
        default: 20 * SECOND_MS,
      }),
    },
    { doc: 'bounds for every agent' },
  ),
  routing: f.object(
    {
      threads: f.integer({
        doc: 'threads that look at contents and run pipelines; 0: one for each processor but one',
        min: 0,
        max: ROUTING_THREADS_MAX,
        default: 0,
      }),
      timeMs: f.duration({
        doc: 'time one message may take in them; then it goes to the dead letters',
        min: 10,
        max: 3600 * SECOND_MS,
        default: 10 * SECOND_MS,
      }),
      memoryBytes: f.bytes({ doc: 'memory of each thread', min: 32 * MiB, max: 64 * GiB, default: 512 * MiB }),
      documentsBytesMax: f.bytes({
        doc: 'large content they hold in memory at once; what comes beyond waits, a larger one goes alone; on its way to a thread it is there up to three times',
        min: MiB,
        max: 64 * GiB,
        default: 64 * MiB,
      }),
      stallMs: f.duration({
        doc: 'large content that is not whole: messages wait that its conditions and pipelines ask for it, and what comes behind them in their streams, until nothing has come of it for so long; then they go to the dead letters',
        min: SECOND_MS,
        max: 7 * DAY_MS,
        default: 600 * SECOND_MS,
      }),
    },
    { doc: 'rules that were deployed with causeway-hub route deploy' },
  ),
  queues: f.list(queue, {
    doc: 'queues of this hub; consumers of one queue share its messages',
    max: QUEUES_MAX,
    default: [],
  }),
  log: f.object(
    {
      level: f.choice(['fatal', 'error', 'warn', 'info', 'debug', 'trace'], {
        doc: 'least weight of what is logged',
        default: 'info',
      }),
    },
    { doc: 'structured log on standard output' },
  ),
})

export type HubSettings = Infer<typeof hubSpec>
export type QueueSettings = HubSettings['queues'][number]

/** Words of letters and digits of any script, `_`, `-`, `.` between slashes: names look like topics, without wildcards. */
function queueNameProblem(name: string): string | null {
  const bytes = Buffer.byteLength(name)
  if (bytes > QUEUE_NAME_BYTES_MAX) return `it has ${bytes} bytes, more than ${QUEUE_NAME_BYTES_MAX}`
  if (name.split('/').includes('')) return 'a word between slashes is empty'
  return /^[\p{L}\p{M}\p{N}_.\-/]+$/u.test(name) ? null : 'it may have letters, digits, "_", "-", "." and "/" only'
}
