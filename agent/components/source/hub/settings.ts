// Settings of the `hub` source.

import { patternProblem } from '#protocol/codec/mod.ts'
import { f, type Infer } from '#protocol/fields/mod.ts'

export const hubSourceSettings = f.object(
  {
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
