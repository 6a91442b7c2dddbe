// What channels keep between portions, durably.

export { stateFault } from './faults.ts'
export { StateLog, type StateOwner } from './log.ts'
