// The suites by name. Each runs in a process of its own: what one compiles and leaves behind is not the next one's.

import type { Suite } from './suite.ts'

export const suites: Readonly<Record<string, () => Promise<Suite>>> = {
  frame: async () => (await import('./frame.ts')).frame(),
  batch: async () => (await import('./batch.ts')).batch(),
  settlement: async () => (await import('./settlement.ts')).settlement(),
  router: async () => (await import('./router.ts')).router(),
  rules: async () => (await import('./rules.ts')).rules(),
  store: async () => await (await import('./store.ts')).store(),
}
