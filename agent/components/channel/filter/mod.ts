// Channel `filter`.

export type { FilterSettings } from './channel.ts'
export { FilterChannel, filterSettings } from './channel.ts'
