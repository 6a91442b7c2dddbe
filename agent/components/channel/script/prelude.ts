// What runs in the engine before the script: it takes away clock and chance, and turns items into texts and back.
//
// Only what the host checks again counts: a script that changes the engine's own objects may get wrong items, never out.

/**
 * Before a text that stands for something else: `s` a text that begins so itself, `n` a bigint, `f` a number
 * that JSON has not, `b` bytes by number.
 */
export const MARK = '\0'

/** An expression that gives `{ read(json, buffers), write(result, buffers) }`; `log` takes one text. */
export const PRELUDE = String.raw`(function (hostLog, LOG_CHARS_MAX, DEPTH_MAX) {
'use strict'
const { parse, stringify } = JSON
const { isArray } = Array
const { getPrototypeOf, keys, create, defineProperty, prototype: plain } = Object
const { isFinite } = Number
const { construct } = Reflect
const Text = String, Big = BigInt, Bytes = Uint8Array, Real = Date
const { UTC, parse: parseDate } = Real
const isBytes = (value) => value instanceof Bytes

const refuse = (what) => () => { throw new TypeError(what + ': the same item must give the same output') }
Math.random = refuse('there is no chance')
for (const name of ['WeakRef', 'FinalizationRegistry', 'SharedArrayBuffer']) delete globalThis[name]

// Dates have no clock and one time zone, UTC, wherever they run.
const ISO = /^[+-]?\d{4,6}(?:-\d\d(?:-\d\d)?)?(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/
const inUtc = (value) => {
  const text = Text(value)
  const found = ISO.exec(text)
  if (found === null) return NaN
  return parseDate(text.includes('T') && found[1] === undefined ? text + 'Z' : text)
}
const noClock = refuse('there is no clock')
function UtcDate(...given) {
  if (new.target === undefined || given.length === 0) noClock()
  const [first] = given
  const time = given.length > 1 ? UTC(...given) : typeof first === 'string' ? inUtc(first) : first
  return construct(Real, [time], new.target)
}
UtcDate.prototype = Real.prototype
UtcDate.UTC = UTC
UtcDate.parse = inUtc
UtcDate.now = noClock
const days = Real.prototype
for (const part of ['FullYear', 'Month', 'Date', 'Day', 'Hours', 'Minutes', 'Seconds', 'Milliseconds']) {
  days['get' + part] = days['getUTC' + part]
  if (part !== 'Day') days['set' + part] = days['setUTC' + part]
}
days.getTimezoneOffset = () => 0
for (const name of ['toString', 'toDateString', 'toTimeString', 'toLocaleString', 'toLocaleDateString', 'toLocaleTimeString']) {
  days[name] = days.toISOString
}
for (const name of ['getYear', 'setYear', 'toGMTString']) delete days[name]
defineProperty(days, 'constructor', { value: UtcDate, writable: true, configurable: true })
defineProperty(globalThis, 'Date', { value: UtcDate, writable: true, configurable: true })
defineProperty(globalThis, 'log', {
  value: (...given) => hostLog(given.map((each) => Text(each)).join(' ').slice(0, LOG_CHARS_MAX)),
  writable: true,
  configurable: true,
})

function revived(value, buffers) {
  if (typeof value === 'string') {
    if (value[0] !== '\0') return value
    const body = value.slice(2)
    return value[1] === 's' ? body : value[1] === 'n' ? Big(body) : value[1] === 'f' ? +body : new Bytes(buffers[+body])
  }
  if (value !== null && typeof value === 'object') for (const key of keys(value)) value[key] = revived(value[key], buffers)
  return value
}

class Refused { constructor(why) { this.why = why } }

function written(value, where, depth, buffers) {
  switch (typeof value) {
    case 'string':
      return value[0] === '\0' ? '\0s' + value : value
    case 'boolean':
      return value
    case 'number':
      if (!isFinite(value)) throw new Refused(where + ' is ' + value + ', which no row can hold')
      return value === 0 && 1 / value < 0 ? '\0f-0' : value
    case 'bigint':
      return '\0n' + value
    case 'object':
      break
    default:
      throw new Refused(where + ' is a ' + typeof value)
  }
  if (value === null) return null
  if (depth > DEPTH_MAX) throw new Refused(where + ' is nested deeper than ' + DEPTH_MAX + ' levels, or contains itself')
  if (isBytes(value)) {
    buffers.push(value.slice().buffer)
    return '\0b' + (buffers.length - 1)
  }
  if (isArray(value)) {
    const list = []
    for (let i = 0; i < value.length; i += 1) list.push(written(value[i], where + '[' + i + ']', depth + 1, buffers))
    return list
  }
  const prototype = getPrototypeOf(value)
  if (prototype !== plain && prototype !== null) {
    const name = value.constructor?.name
    throw new Refused(where + ' is a ' + (typeof name === 'string' ? name.slice(0, 40) : 'special object') + ', no plain object')
  }
  const object = create(null)
  for (const key of keys(value)) {
    if (value[key] !== undefined) object[key] = written(value[key], where + '.' + key, depth + 1, buffers)
  }
  return object
}

return {
  read: (json, buffers) => (json.includes('\\u0000') ? revived(parse(json), buffers) : parse(json)),
  write: (result, buffers) => {
    try {
      return '=' + stringify(written(result, 'the result', 0, buffers))
    } catch (error) {
      if (error instanceof Refused) return '!' + error.why
      throw error
    }
  },
}
})`
