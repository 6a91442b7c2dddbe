// How fast a transfer goes, as people are told.

import t from 'tap'
import { Movement } from './movement.ts'

function moving() {
  const clock = { ms: 1000 }
  const told: number[] = []
  let ended = 0
  const options = { nowMs: () => clock.ms, told: (bytes: number) => void told.push(bytes), ended: () => void ended++ }
  return { clock, told, ended: () => ended, movement: new Movement({ direction: 'in', by: 'agent a' }, options) }
}

t.test('the rate is that of the last seconds, and falls to nothing when nothing comes', (t) => {
  const { clock, movement, told } = moving()
  t.equal(movement.bytesPerSecond(), 0)
  for (let i = 0; i < 100; i++) {
    clock.ms += 100
    movement.moved(1000)
  }
  t.equal(movement.bytes, 100_000)
  t.ok(Math.abs(movement.bytesPerSecond() - 10_000) < 600, `${movement.bytesPerSecond()} B/s`)
  for (let i = 0; i < 90; i++) {
    clock.ms += 100
    movement.moved(100)
  }
  t.ok(Math.abs(movement.bytesPerSecond() - 1000) < 100, `${movement.bytesPerSecond()} B/s`)
  clock.ms += 9000
  t.equal(movement.bytesPerSecond(), 0)
  t.equal(told.length, 190)
  t.end()
})

t.test('a clock that is set back, and the end', (t) => {
  const { clock, movement, ended } = moving()
  movement.moved(500)
  clock.ms = 10
  movement.moved(500)
  clock.ms = 1010
  t.equal(movement.bytesPerSecond(), 500)
  movement[Symbol.dispose]()
  t.equal(ended(), 1)
  t.end()
})
