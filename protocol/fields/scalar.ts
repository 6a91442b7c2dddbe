// One scalar and the setting it is meant for → its value, or what is wrong and what would be right.

import { unreachable } from '#protocol/base/mod.ts'
import type { ChoiceShape, NumberShape, ScalarShape, TextShape } from './field.ts'
import type { RawScalar } from './raw.ts'
import { expected, quoted, shown } from './show.ts'
import { nearest } from './spelling.ts'
import { parseBytes, parseDuration, type Quantity } from './units.ts'
import { fullWidthHint, halfWidth } from './width.ts'

/** `todo` advises; without it the reader says what is expected. */
export type Problem = {
  readonly code: 'FIELD_TYPE' | 'FIELD_RANGE' | 'FIELD_PATTERN' | 'FIELD_CHOICE'
  readonly why: string
  readonly todo?: string
}

export type Scalar = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly problem: Problem }

export function readScalar(shape: ScalarShape, raw: RawScalar): Scalar {
  switch (shape.kind) {
    case 'text':
      return readText(shape, raw)
    case 'integer':
      return readInteger(shape, raw)
    case 'bytes':
      return readQuantity(shape, raw, parseBytes, 'size')
    case 'duration':
      return readQuantity(shape, raw, parseDuration, 'duration')
    case 'boolean':
      return readBoolean(raw)
    case 'choice':
      return readChoice(shape, raw)
    default:
      return unreachable(shape)
  }
}

function readText(shape: TextShape, raw: RawScalar): Scalar {
  const name = shape.secret ? '(hidden)' : shown(raw)
  if (typeof raw.value !== 'string' && !raw.plain) {
    return wrong(
      'FIELD_TYPE',
      `${name} is a ${typeof raw.value}, not a text`,
      `Write it in quotes: "${raw.source}"`,
      shape,
    )
  }
  // Without quotes 007, 1e3 and true are the texts they look like, not the numbers YAML would make of them.
  const value = typeof raw.value === 'string' ? raw.value : raw.source
  if (value.length > shape.maxLength) return wrong('FIELD_RANGE', `${value.length} characters are too many`)
  if (value.length < shape.minLength) {
    return wrong('FIELD_RANGE', value.length === 0 ? 'the text is empty' : `${value.length} characters are too few`)
  }
  if (value.includes('\0')) return wrong('FIELD_PATTERN', 'the text contains a NUL character')
  if (shape.pattern !== null && !shape.pattern.test(value)) {
    const example = shape.example === null ? '' : `, such as ${shape.example}`
    const todo = `Write a text that matches ${shape.pattern.source}${example}`
    return wrong('FIELD_PATTERN', `${name} has the wrong form`, hinted(todo, shape.secret ? '' : value))
  }
  return { ok: true, value }
}

function readInteger(shape: NumberShape, raw: RawScalar): Scalar {
  let value: unknown = raw.value
  if (typeof value === 'string' && raw.plain && /^[+-]?\d{1,20}$/.test(value)) value = Number(value)
  if (typeof value !== 'number' && typeof value !== 'bigint') {
    return wrong('FIELD_TYPE', `${shown(raw)} is not a whole number`, integerAdvice(shape, raw))
  }
  if (typeof value === 'number' && !Number.isInteger(value)) {
    return wrong('FIELD_TYPE', `${raw.source} is not a whole number`)
  }
  return inRange(shape, raw, Number(value))
}

/** Digits that only need other clothes: quotes off, separators out, full-width digits in half-width. */
function integerAdvice(shape: NumberShape, raw: RawScalar): string | undefined {
  const digits = halfWidth(raw.source)
    .trim()
    .replace(/(?<=\d)[_, ](?=\d)/g, '')
  if (!/^[+-]?\d{1,15}$/.test(digits)) return hinted(`Write ${expected(shape)}`, raw.source)
  return hinted(
    raw.plain || digits !== raw.source ? `Write ${digits}` : `Write it without quotes: ${digits}`,
    raw.source,
  )
}

function readQuantity(shape: NumberShape, raw: RawScalar, parse: (text: string) => Quantity, name: string): Scalar {
  if (typeof raw.value === 'bigint') return inRange(shape, raw, Number(raw.value))
  if (typeof raw.value === 'number') {
    if (Number.isInteger(raw.value)) return inRange(shape, raw, raw.value)
    return wrong('FIELD_TYPE', `${raw.source} is not a ${name}`)
  }
  if (typeof raw.value !== 'string') return wrong('FIELD_TYPE', `${shown(raw)} is not a ${name}`)
  const parsed = parse(raw.value)
  if (parsed.ok) return inRange(shape, raw, parsed.value)
  const todo = parsed.hint ?? hinted(`Write ${expected(shape)}`, raw.source)
  return wrong('FIELD_TYPE', `${shown(raw)} is not a ${name}`, todo)
}

function inRange(shape: NumberShape, raw: RawScalar, value: number): Scalar {
  if (value < shape.min) return wrong('FIELD_RANGE', `${shownNumber(raw)} is too small`)
  if (value > shape.max) return wrong('FIELD_RANGE', `${shownNumber(raw)} is too large`)
  return { ok: true, value: value === 0 ? 0 : value }
}

const TRUTHS: Readonly<Record<string, boolean>> = { true: true, false: false }
const TRUTHS_MEANT: Readonly<Record<string, boolean>> = {
  ...{ true: true, yes: true, y: true, on: true, '1': true, 是: true, 真: true },
  ...{ false: false, no: false, n: false, off: false, '0': false, 否: false, 假: false },
}

function readBoolean(raw: RawScalar): Scalar {
  if (typeof raw.value === 'boolean') return { ok: true, value: raw.value }
  const known = raw.plain && Object.hasOwn(TRUTHS, raw.source) ? TRUTHS[raw.source] : undefined
  if (known !== undefined) return { ok: true, value: known }
  const word = raw.source.toLowerCase()
  const meant = Object.hasOwn(TRUTHS_MEANT, word) ? TRUTHS_MEANT[word] : undefined
  const todo = meant === undefined ? 'Write true or false' : `Write ${meant}, without quotes`
  return wrong('FIELD_TYPE', `${shown(raw)} is neither true nor false`, todo)
}

function readChoice(shape: ChoiceShape, raw: RawScalar): Scalar {
  const value = typeof raw.value === 'string' || raw.plain ? raw.source : String(raw.value)
  if (shape.values.includes(value)) return { ok: true, value }
  const meant = nearest(value, shape.values)
  const asked = meant === null ? '' : `Did you mean ${meant}? `
  return wrong('FIELD_CHOICE', `${quoted(value)} is not known here`, `${asked}Write ${expected(shape)}`)
}

function hinted(todo: string, source: string): string {
  const hint = fullWidthHint(source)
  return hint === null ? todo : `${todo}. ${hint}`
}

function wrong(code: Problem['code'], why: string, todo?: string, shape?: TextShape): Scalar {
  const advice = shape?.secret === true ? undefined : todo
  return { ok: false, problem: { code, why, ...(advice === undefined ? {} : { todo: advice }) } }
}

function shownNumber(raw: RawScalar): string {
  return raw.source.length > 40 ? 'the number' : raw.source
}
