import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import t from 'tap'
import { Exchange } from './exchange.ts'
import { PACE_BYTES_MIN, PACE_MS } from './limits.ts'

function make() {
  const clock = { ms: 0 }
  const [request, response] = [new EventEmitter(), new EventEmitter()] as unknown as [IncomingMessage, ServerResponse]
  const exchange = new Exchange({ request, response, link: null, nowMs: () => clock.ms })
  return { clock, exchange }
}

t.test('who is waited for must move some bytes in each while', async (t) => {
  const { clock, exchange } = make()
  exchange.waitForPeer()
  for (let i = 0; i < 5; i++) {
    exchange.moved(PACE_BYTES_MIN)
    clock.ms += PACE_MS
    t.notOk(exchange.isLate(), 'just enough')
  }
  exchange.moved(PACE_BYTES_MIN - 1)
  clock.ms += PACE_MS - 1
  t.notOk(exchange.isLate(), 'it has time')
  clock.ms += 1
  t.ok(exchange.isLate())
})

t.test('a byte now and then is not enough', async (t) => {
  const { clock, exchange } = make()
  let lateAtMs = -1
  for (let i = 0; i < 100 && lateAtMs < 0; i++) {
    exchange.waitForPeer()
    clock.ms += 1000
    if (exchange.isLate()) lateAtMs = clock.ms
    exchange.peerDone()
    exchange.moved(1)
  }
  t.equal(lateAtMs, PACE_MS)
})

t.test('who waits for the hub is never late', async (t) => {
  const { clock, exchange } = make()
  clock.ms += 10 * PACE_MS
  t.notOk(exchange.isLate())
  exchange.waitForPeer()
  t.notOk(exchange.isLate())
  exchange.peerDone()
  clock.ms += 10 * PACE_MS
  t.notOk(exchange.isLate())
})
