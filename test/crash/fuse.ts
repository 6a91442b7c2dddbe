// In a program that is to die at a named point of its work: its parent says at which, and it ends itself there with
// SIGKILL, so that nothing after that point happens.

import type { Fuse as FusePoint } from './points.ts'

export class Fuse {
  private point: FusePoint | null = null
  private left = 0
  private burning = false

  /** Takes points from the parent's channel; when the parent is gone, so are we. */
  constructor(point: FusePoint | null = null) {
    if (point !== null) this.set(point)
    process.on('message', (message) => this.set(message as FusePoint))
    process.once('disconnect', die)
    // The channel alone keeps no program alive.
    process.channel?.unref()
  }

  /** The program is at a point. */
  hit(name: string): void {
    const { point } = this
    if (point === null) return
    if (this.burning) {
      if (name === point.lasts) die()
    } else if (name === point.when && --this.left === 0) {
      if (point.lasts === null) die()
      this.burning = true
    }
  }

  private set(point: FusePoint): void {
    this.point = point
    this.left = point.nth
    this.burning = false
  }
}

function die(): void {
  process.kill(process.pid, 'SIGKILL')
}
