export { type Entry, placesOf, type Selection } from './entry.ts'
export { storeFault } from './faults.ts'
export { type Lease, Queue, type QueueInfo, type QueueRule } from './queue.ts'
export { HubStore, type Placement, QUEUE_REJECTED, QUEUE_UNROUTED, type Stream } from './store.ts'
