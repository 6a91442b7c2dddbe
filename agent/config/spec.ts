// agent.yaml as field specs: names, kinds, bounds, defaults and the manual's text in one place.

import { f, type Infer } from '#protocol/fields/mod.ts'
import { windowProblem } from './windows.ts'

/** Above what any disk takes. */
export const RATE_MAX = 2 ** 40
/** A day has no more parts that differ. */
const WINDOWS_MAX = 16

const transfers = f.object(
  {
    rate: f.bytes({
      doc: 'bytes a second that all uploads together may send, and all downloads together receive; 0 for no limit',
      max: RATE_MAX,
      default: 0,
    }),
    uploadRate: f.bytes({ doc: 'instead of rate, for uploads', max: RATE_MAX, optional: true }),
    downloadRate: f.bytes({ doc: 'instead of rate, for downloads', max: RATE_MAX, optional: true }),
    windows: f.list(
      f.text({ doc: 'a part of the day here, over midnight too', example: '22:00-06:00', check: windowProblem }),
      {
        doc: 'large content travels only in these parts of the day; none: always',
        min: 0,
        max: WINDOWS_MAX,
        default: [],
      },
    ),
    rateOutside: f.bytes({
      doc: 'bytes a second of each direction outside the windows; 0: nothing',
      max: RATE_MAX,
      default: 0,
    }),
  },
  {
    doc: 'what large content keeps to; messages do not count and never wait for it',
    check: ({ windows, rateOutside }) =>
      rateOutside > 0 && windows.length === 0 ? 'rateOutside has no meaning without windows' : null,
  },
)

/** As `agent/components/isolation/limits.ts` has them, which stands above. */
const MIB = 2 ** 20
const channels = f.object(
  {
    threads: f.integer({ doc: 'threads for all flows together', min: 1, max: 64, default: 1 }),
    timeMs: f.duration({
      doc: 'longest that consecutive channels of a thread may take on one item',
      min: 10,
      max: 3_600_000,
      default: 10_000,
    }),
    memoryBytes: f.bytes({
      doc: 'memory of one thread: heap, buffers and WebAssembly',
      min: 32 * MIB,
      max: 64 * 1024 * MIB,
      default: 512 * MIB,
    }),
  },
  { doc: 'what channels that evaluate stylesheets, scripts and the like keep to: they run in threads' },
)

export const agentSpec = f.object({ transfers, channels })

export type AgentConfig = Infer<typeof agentSpec>
