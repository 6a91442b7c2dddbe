// The disk under the hub's store takes simulated time, and its transactions fail when a seed wants them to. The store itself
// is the real one, on real files: only when a write is done, and whether, is decided here.

import { Disk } from '#hub/store/disk.ts'
import { storeFault } from '#hub/store/mod.ts'
import { SegmentFiles } from '#hub/store/segment-files.ts'
import { assert } from '#protocol/base/mod.ts'
import { outside, type World } from './clock.ts'

export type DiskManners = {
  /** A transaction or flush takes at most so long. */
  latencyMsMax: number
  /** One transaction in so many fails; 0: none. */
  failsOneIn: number
}

/** For one world at a time; disposed of, the disk is as it was. */
export function installDisk(world: World, manners: DiskManners): Disposable {
  const random = world.random('disk')
  const pauseMs = () => (manners.latencyMsMax === 0 ? 0 : random.below(1000 * manners.latencyMsMax) / 1000)
  const undo: (() => void)[] = []
  const replace = <O extends object, K extends keyof O>(object: O, name: K, make: (real: O[K]) => O[K]) => {
    const real = object[name]
    // Renamed there, it would go unwatched here.
    assert(typeof real === 'function', `${String(name)} exists`)
    object[name] = make(real)
    undo.push(() => {
      object[name] = real
    })
  }
  replace(
    Disk.prototype,
    'commit',
    (real) =>
      async function commit(this: Disk) {
        await world.delay(pauseMs())
        if (manners.failsOneIn > 0 && random.oneIn(manners.failsOneIn)) {
          world.log('disk: a transaction fails')
          throw storeFault('STORE_IO', { why: 'simulated', retry: true })
        }
        await world.real(() => real.call(this))
        world.log('disk: committed')
        // On the disk, and nobody knows yet.
        await world.delay(pauseMs())
      },
  )
  replace(Disk.prototype, 'reopen', (real) => {
    return function reopen(this: Disk) {
      return world.real(() => real.call(this))
    }
  })
  replace(Disk.prototype, 'close', (real) => {
    return function close(this: Disk) {
      return world.real(() => real.call(this))
    }
  })
  // The binding's own timers are none of the world's, also those of methods that are private.
  const methods = Disk.prototype as unknown as Record<string, (...args: unknown[]) => unknown>
  for (const name of ['open', 'openTable', 'look', 'stats', 'usedBytes']) {
    replace(methods, name, (real) => {
      return function method(this: Disk, ...args: unknown[]) {
        return outside(() => (real as (...args: unknown[]) => unknown).apply(this, args))
      }
    })
  }
  replace(Disk.prototype, 'table', (real) => {
    return function table(this: Disk, name: string) {
      const made = outside(() => real.call(this, name))
      return {
        get: (key) => outside(() => made.get(key)),
        range: (options) => outside(() => made.range(options)),
        keys: () => outside(() => made.keys()),
        last: () => outside(() => made.last()),
        lastIn: (from, to) => outside(() => made.lastIn(from, to)),
        put: (key, value) => made.put(key, value),
        remove: (key) => made.remove(key),
      }
    }
  })
  replace(SegmentFiles.prototype, 'write', (real) => {
    return function write(this: SegmentFiles, ...args) {
      return world.real(() => real.apply(this, args))
    }
  })
  replace(SegmentFiles.prototype, 'flush', (real) => {
    return async function flush(this: SegmentFiles, owner) {
      await world.real(() => real.call(this, owner))
      await world.delay(pauseMs())
    }
  })
  replace(SegmentFiles.prototype, 'readRecord', (real) => {
    return function readRecord(this: SegmentFiles, ...args) {
      return world.real(() => real.apply(this, args))
    }
  })
  for (const name of ['syncNames', 'remove'] as const) {
    replace(SegmentFiles.prototype, name, (real: (number: number) => Promise<void>) => {
      return function slow(this: SegmentFiles, number: number) {
        return world.real(() => real.call(this, number))
      }
    })
  }
  return {
    [Symbol.dispose]: () => {
      for (const restore of undo) restore()
    },
  }
}
