// What channels keep between portions, durably.

export { checkDepth } from './depth.ts'
export { stateFault } from './faults.ts'
export { StateLog, type StateOwner } from './log.ts'
