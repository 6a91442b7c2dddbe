// Work for the tests of the pool: each item says what is to become of it.

import { getHeapStatistics } from 'node:v8'
import { declareFaults } from '#protocol/base/mod.ts'
import type { IsolatedModule } from './mod.ts'

const fault = declareFaults('isolation-test', { TEST_REFUSED: { meaning: 'refused', remedy: 'take another' } })

/** A module with one function, `(loop br 0)`. */
const LOOP = '0061736d01000000' + '010401600000' + '03020100' + '0705010166' + '0000' + '0a09010700' + '03400c000b0b'

function endless(): void {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(LOOP, 'hex')))
  const { f } = exports as { f(): void }
  f()
}

const held = (bytes: Buffer) => new Promise<Buffer>((resolve) => setTimeout(resolve, 600_000, bytes))

let prepared = 0
const engine = new WebAssembly.Memory({ initial: 1, maximum: 65_536 })

const prepare: IsolatedModule = async (configuration) => {
  prepared += 1
  if (configuration === 'refused') throw fault('TEST_REFUSED', { where: 'configuration', why: 'for the test' })
  if (configuration === 'dies') process.exit(3)
  const [, mebibytes] = /^engine (\d+)/.exec(configuration) ?? []
  const own = mebibytes === undefined ? null : new WebAssembly.Memory({ initial: Number(mebibytes) * 16 })
  let ran = 0
  return {
    run: (input, mark) => {
      ran += 1
      mark(5)
      const text = input.toString()
      if (text === 'loop') for (;;);
      if (text === 'pattern') return Buffer.from(`${/^(a+)+$/.test(`${'a'.repeat(60)}!`)}`)
      if (text === 'wasm') endless()
      if (text === 'wait') return new Promise(() => undefined)
      if (text === 'exit') process.exit(7)
      if (text === 'fault')
        throw fault('TEST_REFUSED', { where: 'item', line: 3, big: 2n ** 60n, cause: new Error('why') })
      if (text === 'error') throw new TypeError('a mistake')
      if (text === 'memory') {
        const held: number[][] = []
        for (;;) held.push(new Array<number>(10_000).fill(held.length))
      }
      if (text === 'list') {
        // What it takes at once doubles. Slowly: who watches may be kept waiting, and at V8's own bound the process ends.
        const list: number[] = []
        for (;;) if (list.push(1.5) % 2 ** 18 === 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
      }
      const [what, mebibytes, stays] = text.split(' ')
      const bytes = Number(mebibytes) * 2 ** 20
      // Held until who watches has looked, however long that takes.
      const given = (result: Buffer) => (stays === undefined ? result : held(result))
      if (what === 'grow') {
        // As an engine does that keeps its memory for the next item.
        engine.grow(Math.max(0, bytes - engine.buffer.byteLength) / 65_536)
        new Uint8Array(engine.buffer).fill(1)
        return given(Buffer.from('grown'))
      }
      if (what === 'inflate') {
        const parts: Buffer[] = []
        for (let left = bytes; left > 0; left -= 2 ** 20) parts.push(Buffer.alloc(2 ** 20, 1))
        const whole = Buffer.concat(parts)
        return stays === undefined ? Buffer.from(`${whole.length}`) : held(whole)
      }
      if (what === 'give') return given(Buffer.alloc(bytes, 1))
      if (what === 'litter') {
        for (let left = bytes; left > 0; left -= 2 ** 20) Buffer.alloc(2 ** 20, 1)
        return Buffer.from('littered')
      }
      if (text === 'later') return new Promise((resolve) => setImmediate(() => resolve(Buffer.from('was later'))))
      if (text === 'counts')
        return Buffer.from(
          JSON.stringify({
            prepared,
            ran,
            ...(own === null
              ? {}
              : { ownBytes: own.buffer.byteLength, takenBytes: getHeapStatistics().external_memory }),
          }),
        )
      return Buffer.from(`${configuration.slice(0, 10)} ${text}`)
    },
  }
}
export default prepare
