// Settings of the `hub` source.

import { patternProblem } from '#protocol/codec/mod.ts'
import { f, type Infer } from '#protocol/fields/mod.ts'

const MESSAGES_MAX = 1_000_000_000_000
const BYTES_MAX = 16 * 2 ** 40
const KEPT_MS_MAX = 10 * 365 * 86_400_000

/** Named as in hub.yaml, where the queues of the hub have them. */
const policySettings = {
  order: f.choice(['none', 'stream', 'key'] as const, {
    doc: 'Whether messages of one producer stream, or with one key, stay in order when several flows share it',
    default: 'none',
  }),
  limits: f.object(
    {
      messages: f.integer({ doc: 'Messages it holds; 0 is no limit', min: 0, max: MESSAGES_MAX, default: 0 }),
      bytes: f.bytes({ doc: 'Bytes it holds; 0 is no limit', max: BYTES_MAX, default: 0 }),
      ageMs: f.duration({ doc: 'Time a message may wait in it; 0 is no limit', max: KEPT_MS_MAX, default: 0 }),
    },
    { doc: 'What it may hold at the hub' },
  ),
  onFull: f.choice(['block', 'drop-oldest', 'dead-letter'] as const, {
    doc: 'Beyond its limits: senders wait, the oldest message is dropped, or what comes goes to the dead letters',
    default: 'block',
  }),
  maxDeliver: f.integer({
    doc: 'Deliveries of one message before it goes to the dead letters; 0 is no limit',
    min: 0,
    max: 10_000,
    default: 0,
  }),
  onExpire: f.choice(['dead-letter', 'drop'] as const, {
    doc: 'What becomes of messages that come too late',
    default: 'dead-letter',
  }),
} as const

export const hubSourceSettings = f.object(
  {
    format: f.choice(['rows', 'file'] as const, {
      doc: 'Each message is a row in JSON; or a file, which it holds or refers to',
      default: 'rows',
    }),
    stallMs: f.duration({
      doc: 'file: large content of which nothing comes for so long, while the hub is there, is refused; others then pass',
      min: 100,
      max: 30 * 86_400_000,
      default: 3_600_000,
    }),
    queue: f.text({ doc: 'A queue of the hub, shared with other consumers', maxLength: 200, optional: true }),
    subscribe: f.object(
      {
        name: f.text({
          doc: "Name of this agent's own subscription; it collects also while the agent is away",
          maxLength: 100,
        }),
        topics: f.list(
          f.text({ doc: 'topic pattern: + is one level, # at the end any number', check: patternProblem }),
          {
            doc: 'Topics to receive',
            min: 1,
            max: 64,
            lone: true,
          },
        ),
        where: f.record(
          f.list(f.text({ doc: 'value' }), { doc: 'Values the header may have', min: 1, max: 256, lone: true }),
          {
            doc: 'Only messages whose headers have one of these values, for every header named',
            max: 16,
            default: {},
          },
        ),
        ...policySettings,
      },
      { doc: 'Topics to receive, instead of a queue', optional: true },
    ),
  },
  {
    check: ({ queue, subscribe }) =>
      (queue === undefined) === (subscribe === undefined) ? 'give either `queue` or `subscribe`' : null,
  },
)

export type HubSourceSettings = Infer<typeof hubSourceSettings>
