// What cases of flows and pipelines share.

export { type Difference, differenceOf } from './difference.ts'
