// How much work each chunk of an upload is worth on its way: as it is, or encoded at a level. Compared is what a byte of content takes
// in each way: of the reading thread (measured: reading and hashing, encoding at each level), and of the line (measured: bytes that
// the hub acknowledged while there was always something to send). The two overlap, less so where there are few processors.
//
// Where the line is not kept busy its rate cannot be seen. If that lasts while chunks are encoded, the line may be faster than
// thought: then some chunks go as they are, which shows it. What turned out not to gain is tried again after ever longer times.
//
// Without I/O and clock: `nowMs` is given with each event.

import {
  AHEAD_BYTES_MIN,
  AHEAD_SECONDS,
  COMPRESSION_GAIN_MIN,
  COMPRESSION_LEVELS,
  ENCODE_MS_MAX,
  LEVEL_GAIN_MIN,
  LINE_MEMORY_MS,
  LINE_WINDOW_MS,
  PATIENCE_MS_FIRST,
  PATIENCE_MS_MAX,
  PROBE_BYTES_MAX,
  PROBE_MS_MAX,
  PROBE_SECONDS,
  QUEUED_LATENCY_FACTOR,
  QUEUED_LATENCY_MS,
  TRIAL_BYTES_FIRST,
  TRIAL_BYTES_MAX,
} from './limits.ts'

/** `auto`: as it pays. `on`: at the fastest level. `off`: never. Or always at a level of zstd, 1 to 19. */
export type CompressWish = 'auto' | 'on' | 'off' | number

export const isCompressWish = (wish: unknown): wish is CompressWish =>
  wish === 'auto' ||
  wish === 'on' ||
  wish === 'off' ||
  (Number.isInteger(wish) && (wish as number) >= 1 && (wish as number) <= 19)

/** What encoding a chunk took of the reading thread. */
export type ChunkWork = {
  /** 0: it was to stay as it is. */
  readonly level: number
  readonly length: number
  /** 0: it stayed as it is. */
  readonly encodedBytes: number
  readonly encodeMs: number
}

/** What the uploads of one connection have learnt of its line. Whoever makes a new connection begins anew. */
export type LineKnowledge = { bytesPerSecond: number }

/** A level, or one that is not known yet. */
type Level = {
  readonly level: number
  /** Of the reading thread, for a byte of content, beyond reading. 0: not known. */
  msPerByte: number
  /** Of content, what is left. */
  ratio: number
  /** Content to be sent before it is tried again; how much the next time. */
  waitBytes: number
  nextWaitBytes: number
}

/** Newer measurements against all before. */
const WEIGHT = 0.3
/** What the next level is thought to be like until it was tried. */
const NEXT_COST = 3
const NEXT_RATIO = 0.9
/** Less than so much of a window without anything to send: the line was busy. More than the other: it was not. */
const BUSY_SHARE = 0.25
const STARVED_SHARE = 0.5

export class Compression {
  /** Bytes a second that the line takes, as far as is known; 0: nothing is known. */
  lineRate = 0
  /** The next measurement says more than all before. */
  private isUnsure = true
  /** Of the last chunk; 0: as it is. */
  level: number
  private readonly fixed: number | null
  private readonly overlap: number
  private readonly levels: readonly Level[]
  private readMsPerByte = 0
  /** The window that is open: since an acknowledgement. -1: none. */
  private windowMs = -1
  private ackedBytes = 0
  private starvedMs = 0
  /** Since when there is nothing to send; -1: there is. */
  private drySinceMs = -1
  /** So long the line was not kept busy while chunks were encoded, and how long that may last. */
  private impatientMs = 0
  private patienceMs = PATIENCE_MS_FIRST
  /** Since when content goes as it is to see what the line takes, and how much of it is under way; -1: it does not. */
  private probeSinceMs = -1
  private probeOutBytes = 0
  /** So much of it may be under way: little where little was acknowledged, which may be all that the line takes. */
  private probeBytes = 0
  /** The shortest time in which the hub had something, and whether the last took far longer: then it waits somewhere. */
  private leastLatencyMs = Number.MAX_VALUE
  private isQueued = false

  private readonly line: LineKnowledge

  /** `processors`: of the machine, for what must go on beside the encoding. */
  constructor(wish: CompressWish, processors: number, line: LineKnowledge = { bytesPerSecond: 0 }) {
    this.line = line
    const [fastest] = COMPRESSION_LEVELS
    this.fixed = wish === 'auto' ? null : wish === 'on' ? fastest : wish === 'off' ? 0 : wish
    this.overlap = 1 / Math.max(1, processors)
    this.level = this.fixed ?? fastest
    this.levels = COMPRESSION_LEVELS.map((level) => ({
      level,
      msPerByte: 0,
      ratio: 1,
      waitBytes: 0,
      nextWaitBytes: TRIAL_BYTES_FIRST,
    }))
  }

  /** At which level the next chunk, of some `length` bytes, is to be encoded; 0: not at all. */
  choose(length: number): number {
    if (this.fixed !== null) return this.fixed
    for (const one of this.levels) one.waitBytes = Math.max(0, one.waitBytes - length)
    this.recall()
    if (this.probeSinceMs >= 0 && this.probeOutBytes < Math.max(this.probeBytes, 2 * length)) {
      this.probeOutBytes += length
      return 0
    }
    if (this.lineRate > 0) this.level = this.best(length)
    return this.trial(length) ?? this.level
  }

  /** So much may wait to be sent: what was encoded long before the line was known might have been encoded better. */
  get aheadBytesMax(): number {
    if (this.fixed !== null) return Number.MAX_SAFE_INTEGER
    return this.isUnsure ? AHEAD_BYTES_MIN : Math.max(AHEAD_BYTES_MIN, AHEAD_SECONDS * this.lineRate)
  }

  /** So long the thread read and hashed a chunk. */
  read(length: number, readMs: number): void {
    if (length > 0) this.readMsPerByte = blend(this.readMsPerByte, readMs / length)
  }

  /** What the thread did for a chunk that is wanted. What did not compress says nothing of what will. */
  worked({ level, length, encodedBytes, encodeMs }: ChunkWork): void {
    const one = this.levels.find((candidate) => candidate.level === level)
    if (one === undefined || encodedBytes === 0) return
    one.ratio = one.msPerByte === 0 ? encodedBytes / length : blend(one.ratio, encodedBytes / length)
    one.msPerByte = Math.max(Number.MIN_VALUE, blend(one.msPerByte, encodeMs / length))
  }

  /** The line would take more, and the thread is still busy with what comes next. */
  dry(nowMs: number): void {
    if (this.drySinceMs < 0) this.drySinceMs = nowMs
  }

  /** Something goes out. */
  sending(nowMs: number): void {
    if (this.drySinceMs >= 0) this.starvedMs += nowMs - this.drySinceMs
    this.drySinceMs = -1
  }

  /** The hub has so many bytes more, as they travelled; the last of them were on their way for `latencyMs`. */
  acknowledged(bytes: number, latencyMs: number, nowMs: number): void {
    this.leastLatencyMs = Math.min(this.leastLatencyMs, latencyMs)
    this.isQueued = latencyMs > QUEUED_LATENCY_FACTOR * this.leastLatencyMs + QUEUED_LATENCY_MS
    this.probeOutBytes = Math.max(0, this.probeOutBytes - bytes)
    if (this.windowMs < 0) {
      this.open(nowMs)
      return
    }
    this.ackedBytes += bytes
    const passedMs = nowMs - this.windowMs
    if (passedMs < (this.isUnsure ? 2 : 1) * LINE_WINDOW_MS) return
    const isDry = this.drySinceMs >= 0
    if (isDry) this.sending(nowMs)
    this.learn(passedMs, nowMs)
    this.open(nowMs)
    if (isDry) this.drySinceMs = nowMs
  }

  /** Nothing goes on: it rests, or there is no connection. What passes now says nothing. */
  rest(): void {
    this.windowMs = -1
    this.drySinceMs = -1
    this.probeSinceMs = -1
    this.leastLatencyMs = Number.MAX_VALUE
  }

  /** What was learnt by those before it, as long as it knows nothing of its own. That was then: its first measurement says more. */
  private recall(): void {
    if (this.lineRate === 0) this.lineRate = this.line.bytesPerSecond
  }

  private open(nowMs: number): void {
    this.windowMs = nowMs
    this.ackedBytes = 0
    this.starvedMs = 0
  }

  private learn(passedMs: number, nowMs: number): void {
    const starvedShare = this.starvedMs / passedMs
    const isProbe = this.probeSinceMs >= 0
    // What waits in buffers of the system is not seen here but by how long it takes.
    const isBusy = starvedShare < BUSY_SHARE || this.isQueued
    const rate = (1000 * this.ackedBytes) / (isBusy && !this.isQueued ? passedMs - this.starvedMs : passedMs)
    if (isBusy || ((isProbe || this.level === 0) && rate > this.lineRate)) {
      // A disk that stands still for a moment is no slow line.
      const weight = this.isUnsure ? 1 : 1 - Math.exp(-passedMs / LINE_MEMORY_MS)
      this.lineRate += weight * (rate - this.lineRate)
      this.isUnsure = false
      this.line.bytesPerSecond = this.lineRate
    }
    if (isBusy) this.impatientMs = 0
    else if (starvedShare >= STARVED_SHARE && this.level > 0 && !isProbe) this.impatientMs += passedMs
    // A window that began before it says little.
    if (isProbe && (nowMs - this.probeSinceMs >= PROBE_MS_MAX || this.windowMs >= this.probeSinceMs)) {
      this.probeSinceMs = -1
    }
    if (this.impatientMs < this.patienceMs) return
    this.impatientMs = 0
    this.patienceMs = Math.min(PATIENCE_MS_MAX, 2 * this.patienceMs)
    this.probeSinceMs = nowMs
    this.probeOutBytes = 0
    this.probeBytes = Math.min(PROBE_BYTES_MAX, PROBE_SECONDS * rate)
    this.isUnsure = true
  }

  /** The way that takes the least; the one it is at unless another is clearly better. */
  private best(length: number): number {
    const now = this.levels.find(({ level }) => level === this.level)
    const nowMs = now === undefined ? this.plainMs() : this.msOf(now)
    let best = this.level
    let least = nowMs
    const consider = (level: number, ms: number, gainMin: number) => {
      if (ms < least && ms < gainMin * nowMs) [best, least] = [level, ms]
    }
    if (now !== undefined) consider(0, this.plainMs(), COMPRESSION_GAIN_MIN)
    for (const one of this.levels) {
      if (one === now || one.msPerByte === 0 || one.msPerByte * length > ENCODE_MS_MAX) continue
      consider(one.level, this.msOf(one), now === undefined ? COMPRESSION_GAIN_MIN : LEVEL_GAIN_MIN)
    }
    // On a line that has become slow it is worth to look soon whether it is fast again.
    if (this.level === 0 && best > 0) this.patienceMs = PATIENCE_MS_FIRST
    return best
  }

  /** A higher level, for one chunk, when it may well be better than this one and was not tried for long. */
  private trial(length: number): number | null {
    const at = this.levels.findIndex(({ level }) => level === this.level)
    const now = this.levels[at]
    if (this.lineRate === 0 || now === undefined || now.msPerByte === 0) return null
    const guess = { msPerByte: now.msPerByte, ratio: now.ratio }
    for (const next of this.levels.slice(at + 1)) {
      guess.msPerByte *= NEXT_COST
      guess.ratio *= NEXT_RATIO
      if (guess.msPerByte * length > ENCODE_MS_MAX || this.msOf(guess) >= this.msOf(now)) return null
      if (next.waitBytes > 0) continue
      next.waitBytes = next.nextWaitBytes
      next.nextWaitBytes = Math.min(TRIAL_BYTES_MAX, 2 * next.nextWaitBytes)
      return next.level
    }
    return null
  }

  /** Milliseconds for a byte of content. */
  private msOf({ msPerByte, ratio }: Pick<Level, 'msPerByte' | 'ratio'>): number {
    return this.together(this.readMsPerByte + msPerByte, (1000 * ratio) / this.lineRate)
  }

  private plainMs(): number {
    return this.together(this.readMsPerByte, 1000 / this.lineRate)
  }

  private together(threadMs: number, lineMs: number): number {
    return Math.max(threadMs, lineMs) + this.overlap * Math.min(threadMs, lineMs)
  }
}

const blend = (before: number, now: number): number => (before === 0 ? now : before + WEIGHT * (now - before))
