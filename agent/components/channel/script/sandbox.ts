// JavaScript in QuickJS, in this thread: an engine of its own in WebAssembly, which has no way out but what it is given, and that is one
// function for notes. Each call finds the engine as it was when the script had been loaded, byte by byte: its memory is put back.
//
// Bounds on time, steps and memory are the engine's own. What they do not reach (a built-in function that goes through 2^53 elements
// without asking) ends with the thread: see `isolated` in the registry.

import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import variant from '@jitl/quickjs-wasmfile-release-sync'
import {
  newQuickJSWASMModuleFromVariant,
  newVariant,
  type QuickJSContext,
  type QuickJSHandle,
  type QuickJSSyncVariant,
  type QuickJSWASMModule,
} from 'quickjs-emscripten-core'
import { type Clock, Fault } from '#protocol/base/mod.ts'
import { VALUE_DEPTH_MAX } from '../../limits.ts'
import { scriptFault } from './faults.ts'
import { LOG_CHARS_MAX, MESSAGE_CHARS_MAX, RESULT_CHARS_MAX, STACK_BYTES, STEPS_PER_LOOK } from './limits.ts'
import { PRELUDE } from './prelude.ts'
import type { Packed } from './values.ts'

/** The engine, compiled once in a thread: sandboxes of many scripts, and those made anew, share its code. */
let compiled: Promise<QuickJSSyncVariant> | null = null

async function compile(): Promise<QuickJSSyncVariant> {
  const path = fileURLToPath(import.meta.resolve('@jitl/quickjs-wasmfile-release-sync/wasm'))
  const wasmModule = await WebAssembly.compile(await readFile(path))
  // Its types are those of its CommonJS form; what is imported is the other.
  return newVariant(variant as unknown as QuickJSSyncVariant, { wasmModule })
}

export type SandboxOptions = {
  readonly script: string
  readonly timeoutMs: number
  readonly stepsMax: number
  readonly memoryBytes: number
  readonly clock: Clock
  log(text: string): void
}

/** Of the bytes that a result names. */
export type ResultLimits = { readonly bytesMax: number }

/** What memory of WebAssembly grows by. */
const WASM_PAGE_BYTES = 65_536
/** A page of what is put back. */
const PAGE_BYTES = 4_096
/** A gap of so many zeros in an engine that has just been made is its stack. */
const STACK_BYTES_MIN = 1024 * 1024
/** An engine whose memory has grown so far beyond what it began with is made anew, so that the memory comes back. */
const GROWTH_BYTES_MAX = 64 * 1024 * 1024

export class Sandbox {
  readonly #options: SandboxOptions
  readonly #memory: WebAssembly.Memory
  readonly #context: QuickJSContext
  readonly #process: QuickJSHandle
  readonly #read: QuickJSHandle
  readonly #write: QuickJSHandle
  readonly #image: readonly Piece[]
  readonly #beganBytes: number
  #looks = 0
  #deadlineMs = 0
  #stopped: 'time' | 'steps' | null = null
  #isFull = false
  #isBroken = false

  /** Faults: `SCRIPT_SYNTAX`, `SCRIPT_FAILED`, `SCRIPT_TIMEOUT`, `SCRIPT_MEMORY`. */
  static async load(options: SandboxOptions): Promise<Sandbox> {
    compiled ??= compile()
    return new Sandbox(await newQuickJSWASMModuleFromVariant(compiled), options)
  }

  private constructor(module: QuickJSWASMModule, options: SandboxOptions) {
    this.#options = options
    this.#memory = module.getWasmMemory()
    const runtime = module.newRuntime()
    runtime.setMemoryLimit(options.memoryBytes)
    runtime.setMaxStackSize(STACK_BYTES)
    runtime.setInterruptHandler(() => this.#look())
    const context = runtime.newContext()
    this.#context = context
    const stack = stackIn(new Uint8Array(this.#memory.buffer))
    this.#begin()
    const [read, write] = this.#guarded('script', () => this.#prelude())
    this.#read = read
    this.#write = write
    this.#process = this.#guarded('script', () => {
      this.#value(context.evalCode(options.script, 'script', { strict: true }))
      return this.#value(context.evalCode(`typeof process === 'function' ? process : null`, 'host'))
    })
    if (context.typeof(this.#process) !== 'function') {
      throw scriptFault('SCRIPT_SYNTAX', { where: 'script', why: 'it has no function named process' })
    }
    const end = heapEnd(module, this.#memory)
    boundMemory(this.#memory, end + options.memoryBytes, () => {
      this.#isFull = true
    })
    this.#beganBytes = this.#memory.buffer.byteLength
    this.#image = imageOf(new Uint8Array(this.#memory.buffer), { stack, end })
  }

  /** It must not be called any more: the engine may be damaged, or keeps too much memory. */
  get isSpent(): boolean {
    return this.#isBroken || this.#memory.buffer.byteLength - this.#beganBytes > GROWTH_BYTES_MAX
  }

  /** Calls `process`. Faults: `SCRIPT_FAILED`, `SCRIPT_TIMEOUT`, `SCRIPT_MEMORY`, `SCRIPT_RESULT`. */
  call(item: Packed, { bytesMax }: ResultLimits): Packed {
    const context = this.#context
    this.#restore()
    this.#begin()
    return this.#guarded('script', () => {
      // Nothing of this is disposed of: it all goes when the memory is put back.
      const given = context.newArray()
      // A copy of exactly these bytes: the buffer behind a Buffer holds others' too.
      for (const [i, bytes] of item.buffers.entries())
        context.setProp(given, i, context.newArrayBuffer(new Uint8Array(bytes).buffer))
      const argument = this.#value(
        context.callFunction(this.#read, context.undefined, context.newString(item.json), given),
      )
      const result = this.#value(context.callFunction(this.#process, context.undefined, argument))
      const taken = context.newArray()
      const text = this.#value(context.callFunction(this.#write, context.undefined, result, taken))
      const chars = context.getNumber(context.getProp(text, 'length'))
      if (chars > RESULT_CHARS_MAX)
        throw scriptFault('SCRIPT_RESULT', {
          where: 'script',
          why: `its rows have ${chars} characters as JSON`,
          limitChars: RESULT_CHARS_MAX,
        })
      const written = context.getString(text)
      if (!written.startsWith('='))
        throw scriptFault('SCRIPT_RESULT', { where: 'script', why: written.slice(1, MESSAGE_CHARS_MAX) })
      return { json: written.slice(1), buffers: this.#buffersIn(taken, bytesMax) }
    })
  }

  #prelude(): [read: QuickJSHandle, write: QuickJSHandle] {
    const context = this.#context
    const make = this.#value(context.evalCode(PRELUDE, 'host'))
    const log = context.newFunction('log', (text) => this.#options.log(context.getString(text)))
    const bounds = [LOG_CHARS_MAX, VALUE_DEPTH_MAX].map((value) => context.newNumber(value))
    const made = this.#value(context.callFunction(make, context.undefined, log, ...bounds))
    return [context.getProp(made, 'read'), context.getProp(made, 'write')]
  }

  #buffersIn(list: QuickJSHandle, bytesMax: number): Uint8Array[] {
    const context = this.#context
    const count = context.getNumber(context.getProp(list, 'length'))
    const buffers: Uint8Array[] = []
    let total = 0
    for (let i = 0; i < count; i += 1) {
      const { value } = context.getArrayBuffer(context.getProp(list, i))
      total += value.length
      if (total > bytesMax)
        throw scriptFault('SCRIPT_RESULT', {
          where: 'script',
          why: 'it has more bytes than `bytesMax`',
          limitBytes: bytesMax,
        })
      buffers.push(value.slice())
    }
    return buffers
  }

  #begin(): void {
    this.#looks = 0
    this.#stopped = null
    this.#isFull = false
    this.#deadlineMs = this.#options.clock.nowMs() + this.#options.timeoutMs
  }

  /** Asked by the engine now and then; true stops it. */
  #look(): boolean {
    this.#looks += 1
    if (this.#looks * STEPS_PER_LOOK > this.#options.stepsMax) this.#stopped = 'steps'
    else if (this.#options.clock.nowMs() > this.#deadlineMs) this.#stopped = 'time'
    return this.#stopped !== null
  }

  /** What a script threw, as a fault. */
  #value(result: ReturnType<QuickJSContext['evalCode']>): QuickJSHandle {
    if (result.error === undefined) return result.value
    throw this.#faultOf(result.error)
  }

  #faultOf(error: QuickJSHandle): Fault {
    const { timeoutMs, stepsMax, memoryBytes } = this.#options
    if (this.#stopped === 'time')
      return scriptFault('SCRIPT_TIMEOUT', { where: 'script', why: `more than ${timeoutMs} ms` })
    if (this.#stopped === 'steps')
      return scriptFault('SCRIPT_TIMEOUT', { where: 'script', why: `more than ${stepsMax} steps` })
    const thrown = this.#context.dump(error) as unknown
    const { name, message, stack } = isObject(thrown) ? thrown : { message: thrown }
    // While the dump was made the script may have been stopped.
    if (this.#stopped !== null)
      return scriptFault('SCRIPT_TIMEOUT', { where: 'script', why: 'what it throws does not end' })
    // Without memory there may be none for an error either.
    if ((name === 'InternalError' && message === 'out of memory') || (this.#isFull && thrown === null)) {
      return scriptFault('SCRIPT_MEMORY', {
        where: 'script',
        why: `more than ${memoryBytes} bytes`,
        limitBytes: memoryBytes,
      })
    }
    const [, line, column] = /\bscript:(\d+):(\d+)/.exec(String(stack)) ?? []
    const place = line === undefined ? {} : { line: Number(line), column: Number(column) }
    const where = line === undefined ? 'script' : `script line ${line}`
    const said = typeof name === 'string' ? `${name}: ${String(message)}` : shown(isObject(thrown) ? thrown : message)
    const code =
      name === 'SyntaxError' && String(stack).trimStart().startsWith('at script:') ? 'SCRIPT_SYNTAX' : 'SCRIPT_FAILED'
    return scriptFault(code, { where, why: said.slice(0, MESSAGE_CHARS_MAX).toWellFormed(), ...place })
  }

  /** Runs what may end in the engine itself: when its frames do not fit the thread's, or WebAssembly stops it. */
  #guarded<T>(where: string, work: () => T): T {
    try {
      return work()
    } catch (error) {
      if (error instanceof Fault) throw error
      this.#isBroken = true
      if (!(error instanceof RangeError || error instanceof WebAssembly.RuntimeError || isUnwrap(error))) throw error
      throw scriptFault('SCRIPT_FAILED', {
        where,
        why: `the engine could not go on: ${(error as Error).message}`,
        cause: error,
      })
    }
  }

  #restore(): void {
    const memory = new Uint8Array(this.#memory.buffer)
    for (const { at, bytes } of this.#image) memory.set(bytes, at)
  }
}

type Piece = { readonly at: number; readonly bytes: Uint8Array }
type Range = { readonly from: number; readonly to: number }

/**
 * The stack of an engine in which nothing has run but its making: between its data and its heap, and zero but for its end. What is
 * left on it means nothing, so it need not be put back. Empty if it is not found: then everything is put back.
 */
function stackIn(memory: Uint8Array): Range {
  let from = 0
  for (let page = 0; page < memory.length; page += PAGE_BYTES) {
    if (isZero(memory.subarray(page, page + PAGE_BYTES))) continue
    if (page - from >= STACK_BYTES_MIN) return { from, to: page }
    from = page + PAGE_BYTES
  }
  return { from: 0, to: 0 }
}

/** Beyond it nothing is in use: where as much is put as there is memory at all, no gap between others can be. */
function heapEnd(module: QuickJSWASMModule, memory: WebAssembly.Memory): number {
  const { _malloc: allocate, _free: free } = (module as unknown as { module: Allocator }).module
  const at = allocate(memory.buffer.byteLength)
  if (at === 0) return memory.buffer.byteLength
  free(at)
  return at
}

/**
 * The engine's own limit counts eight bytes of every allocation, whatever its size: it holds for single ones. What holds for all
 * together is that its memory grows no further; the engine then tells the script that it is out of memory.
 */
function boundMemory(memory: WebAssembly.Memory, limitBytes: number, onRefused: () => void): void {
  const grow = memory.grow.bind(memory)
  memory.grow = (pages) => {
    if (memory.buffer.byteLength + pages * WASM_PAGE_BYTES <= limitBytes) return grow(pages)
    onRefused()
    throw new RangeError('beyond the bound of the script')
  }
}

type Allocator = { _malloc(bytes: number): number; _free(at: number): void }

function imageOf(memory: Uint8Array, { stack, end }: { readonly stack: Range; readonly end: number }): Piece[] {
  return [
    { from: 0, to: stack.from },
    { from: stack.to, to: end },
  ]
    .filter(({ from, to }) => to > from)
    .map(({ from, to }) => ({ at: from, bytes: memory.slice(from, to) }))
}

const ZEROS = Buffer.alloc(PAGE_BYTES)
const isZero = (page: Uint8Array): boolean => ZEROS.equals(page)

const isObject = (value: unknown): value is Record<string, unknown> => value !== null && typeof value === 'object'

const isUnwrap = (error: unknown): boolean => error instanceof Error && /^QuickJS/.test(error.name)

function shown(value: unknown): string {
  if (typeof value === 'string') return value
  return (
    JSON.stringify(value, (_key, each: unknown) => (typeof each === 'bigint' ? String(each) : each)) ?? String(value)
  )
}
