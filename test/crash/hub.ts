// The hub as its own program starts it, but with a fuse: it ends itself with SIGKILL at the point its parent names.
// Run: node hub.ts DATA-FOLDER [POINT-AS-JSON]. What the hub has no steps for is watched from outside, by standing in
// front of the methods that the points are about.

import { startHub } from '#hub/compose.ts'
import { configOf } from '#hub/management/mod.ts'
import { Endings } from '#hub/store/endings.ts'
import { LaneBook } from '#hub/store/lane-book.ts'
import { HubStore } from '#hub/store/mod.ts'
import { Timers } from '#hub/store/timers.ts'
import { openLog } from '#hub/telemetry/mod.ts'
import { Fuse } from './fuse.ts'

const [, , dataDir = '', point] = process.argv
const fuse = new Fuse(point === undefined ? null : JSON.parse(point))

const { append, delivered, settle, retry } = HubStore.prototype
HubStore.prototype.append = async function (...given) {
  await append.apply(this, given)
  fuse.hit('appended')
}
HubStore.prototype.delivered = function (...given) {
  delivered.apply(this, given)
  // The frame goes to the socket at the end of this turn.
  setImmediate(() => fuse.hit('delivered'))
}
HubStore.prototype.settle = function (...given) {
  fuse.hit(given[2] === 'rejected' ? 'rejecting' : 'settling')
  return settle.apply(this, given)
}
HubStore.prototype.retry = function (...given) {
  fuse.hit('retrying')
  return retry.apply(this, given)
}
const { drop, redrive } = Endings.prototype
Endings.prototype.drop = function (...given) {
  fuse.hit('dropping')
  return drop.apply(this, given)
}
Endings.prototype.redrive = function (...given) {
  fuse.hit('redriving')
  return redrive.apply(this, given)
}
const { remove } = Timers.prototype
Timers.prototype.remove = function (...given) {
  fuse.hit('due')
  return remove.apply(this, given)
}
const { rowsOf } = LaneBook.prototype
LaneBook.prototype.rowsOf = function (...given) {
  fuse.hit('forgetting')
  return rowsOf.apply(this, given)
}

const config = await configOf(dataDir, false)
if (config === null) throw new Error('the configuration is wrong')
const log = openLog({ name: config.name, level: config.log.level })
// Before it says that it has started: it may be ended at once.
const ended = new Promise((resolve) => process.once('SIGTERM', resolve))
const hub = await startHub({ dataDir, config, log, onStep: (step) => fuse.hit(step) })
await ended
await hub.stop()
