// What a setting is: plain data (`Shape`) that reading, documentation, command lines and forms all work from, and the type
// it produces. A spec is made once at start-up; a mistake in one is a programming error and throws.

import { assert } from '#protocol/base/mod.ts'
import { ENTRIES_MAX, TEXT_LENGTH_MAX } from './limits.ts'
import type {
  ChoiceMaker,
  EitherMaker,
  ListMaker,
  Maker,
  ObjectMaker,
  RangeOptions,
  RecordMaker,
  TextOptions,
  VariantMaker,
} from './maker.ts'

/** Whether a setting may be left out, and what then: it is missing, it is omitted, or its default stands in. */
export type Presence = 'required' | 'optional' | 'default'

declare const carried: unique symbol
declare const presence: unique symbol

/** A setting whose parsed value is a `T`. Only `shape` exists at run time. */
export type Field<T = unknown, P extends Presence = Presence> = {
  readonly shape: Shape
  readonly [carried]?: T
  readonly [presence]?: P
}

export type FieldSpec = Field

/** The type a spec's values have: settings with defaults are always there, optional ones may be absent. */
export type Infer<F> = F extends Field<infer T> ? T : never
export type PresenceOf<F> = F extends Field<unknown, infer P> ? P : never

/** What JSON can say. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json }

type Common = {
  readonly doc: string
  readonly presence: Presence
  /** Stands in when `presence` is `default`, else `undefined`. */
  readonly fallback: unknown
  readonly check: ((value: never) => string | null) | null
}

export type TextShape = Common & {
  readonly kind: 'text'
  readonly minLength: number
  readonly maxLength: number
  readonly pattern: RegExp | null
  readonly secret: boolean
  readonly example: string | null
}
export type NumberShape = Common & {
  readonly kind: 'integer' | 'bytes' | 'duration'
  readonly min: number
  readonly max: number
}
export type BooleanShape = Common & { readonly kind: 'boolean' }
export type ChoiceShape = Common & { readonly kind: 'choice'; readonly values: readonly string[] }
export type AnyShape = Common & { readonly kind: 'any' }
export type ListShape = Common & {
  readonly kind: 'list'
  readonly item: Field
  readonly min: number
  readonly max: number
  readonly lone: boolean
}
export type RecordShape = Common & {
  readonly kind: 'record'
  readonly item: Field
  readonly max: number
  readonly keys: RegExp | null
}
export type ObjectShape = Common & { readonly kind: 'object'; readonly fields: Readonly<Record<string, Field>> }
export type VariantShape = Common & { readonly kind: 'variant'; readonly types: Readonly<Record<string, Field>> }

/** Written as a map, or as something else. */
export type EitherShape = Common & { readonly kind: 'either'; readonly plain: Field; readonly map: Field }

export type ScalarShape = TextShape | NumberShape | BooleanShape | ChoiceShape
export type Shape = ScalarShape | AnyShape | ListShape | RecordShape | ObjectShape | VariantShape | EitherShape

/** Options as a spec's author wrote them; `maker.ts` types them for each kind. */
type Written = {
  readonly doc?: string
  readonly optional?: boolean
  readonly default?: unknown
  readonly check?: (value: never) => string | null
}

type TextWritten = Written & {
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: RegExp
  readonly secret?: boolean
  readonly example?: string
}
type RangeWritten = Written & { readonly min?: number; readonly max?: number }
type ListWritten = RangeWritten & { readonly lone?: boolean }
type RecordWritten = Written & { readonly max?: number; readonly keys?: RegExp }

function common(written: Written): Common {
  const presence = written.optional === true ? 'optional' : written.default === undefined ? 'required' : 'default'
  return { doc: written.doc ?? '', presence, fallback: written.default, check: written.check ?? null }
}

/** Makes the field; the cast is the one place where a shape is given the type that `maker.ts` promises for it. */
function make<M>(shape: Shape): M {
  if (shape.kind !== 'object') assert(shape.doc !== '', `a ${shape.kind} field has a doc`)
  return Object.freeze({ shape: Object.freeze(shape) }) as M
}

/** A stateful pattern would answer differently the second time. */
function steady(pattern: RegExp | undefined): RegExp | null {
  assert(pattern === undefined || !(pattern.global || pattern.sticky), 'a field pattern has no flags g or y')
  return pattern ?? null
}

function text(written: TextWritten): Field {
  const { minLength = written.default === '' ? 0 : 1, maxLength = TEXT_LENGTH_MAX, secret = false } = written
  assert(minLength >= 0 && minLength <= maxLength, 'minLength <= maxLength')
  const pattern = steady(written.pattern)
  const fallback = written.default
  assert(
    typeof fallback !== 'string' || (fallback.length >= minLength && fallback.length <= maxLength),
    'a text default has an allowed length',
  )
  assert(typeof fallback !== 'string' || (pattern?.test(fallback) ?? true), 'a text default matches its pattern')
  const example = written.example ?? null
  return make({ ...common(written), kind: 'text', minLength, maxLength, pattern, secret, example })
}

function range(kind: NumberShape['kind'], least: number): (written: RangeWritten) => Field {
  return (written) => {
    const { min = least, max = Number.MAX_SAFE_INTEGER, default: fallback } = written
    assert(Number.isSafeInteger(min) && Number.isSafeInteger(max) && min <= max, `${kind}: min <= max, both whole`)
    assert(
      typeof fallback !== 'number' || (Number.isSafeInteger(fallback) && fallback >= min && fallback <= max),
      `${kind}: the default is whole and within min and max`,
    )
    return make({ ...common(written), kind, min, max })
  }
}

function choice(values: readonly string[], written: Written): Field {
  assert(values.length > 0, 'a choice has values')
  assert(written.default === undefined || values.includes(written.default as string), 'a default is one of the choices')
  return make({ ...common(written), kind: 'choice', values })
}

function list(item: Field, written: ListWritten): Field {
  const { min = 0, max = ENTRIES_MAX, lone = false } = written
  assert(min >= 0 && min <= max, 'list: min <= max')
  assert(item.shape.presence === 'required', 'the items of a list are neither optional nor have defaults')
  return make({ ...common(written), kind: 'list', item, min, max, lone })
}

function record(item: Field, written: RecordWritten): Field {
  const { max = ENTRIES_MAX } = written
  assert(item.shape.presence === 'required', 'the entries of a record are neither optional nor have defaults')
  return make({ ...common(written), kind: 'record', item, max, keys: steady(written.keys) })
}

function object(fields: Readonly<Record<string, Field>>, written: Written = {}): Field {
  for (const name of Object.keys(fields)) {
    assert(/^[a-z][A-Za-z0-9]*$/.test(name), `setting name ${name} is camelCase`)
  }
  return make({ ...common(written), kind: 'object', fields })
}

function variant(types: Readonly<Record<string, Field>>, written: Written): Field {
  for (const [type, settings] of Object.entries(types)) {
    assert(settings.shape.kind === 'object', `the settings of variant ${type} are an object`)
  }
  return make({ ...common(written), kind: 'variant', types })
}

function either(plain: Field, map: Field, written: Written): Field {
  assert(map.shape.kind === 'object' || map.shape.kind === 'record', 'one of the two is a map')
  assert(plain.shape.kind !== 'object' && plain.shape.kind !== 'record', 'and the other is none')
  for (const { shape } of [plain, map]) assert(shape.presence === 'required', 'neither is optional or has a default')
  return make({ ...common(written), kind: 'either', plain, map })
}

function optional<T>(field: Field<T>, { doc }: { readonly doc: string }): Field<T, 'optional'> {
  return make({ ...field.shape, doc, presence: 'optional', fallback: undefined })
}

/** Builders of settings, one per kind. Every one takes `doc`, `optional` or `default`, and `check`. */
export const f = {
  /** A text of 1…4096 characters unless said otherwise. `secret` keeps its value out of faults and documentation. */
  text: text as Maker<string, TextOptions>,
  /** A whole number within 2^53. */
  integer: range('integer', Number.MIN_SAFE_INTEGER) as Maker<number, RangeOptions>,
  /** A size: `65536`, `64 KiB`, `1 GiB` → bytes. */
  bytes: range('bytes', 0) as Maker<number, RangeOptions>,
  /** A duration: `250` (ms), `500ms`, `5s`, `2m`, `1h`, `1d` → milliseconds. */
  duration: range('duration', 0) as Maker<number, RangeOptions>,
  boolean: ((written: Written) => make({ ...common(written), kind: 'boolean' })) as Maker<boolean, unknown>,
  choice: choice as ChoiceMaker,
  /** A list. With `lone: true` a single value without brackets is a list of one. */
  list: list as ListMaker,
  /** Free names → values of one kind. `keys` is the form the names must have. */
  record: record as RecordMaker,
  /** Any JSON value, bounded in depth and size. */
  any: ((written: Written) => make({ ...common(written), kind: 'any' })) as Maker<Json, unknown>,
  /** A map with known names. Left out, it is read as `{}` when nothing in it is required. */
  object: object as ObjectMaker,
  /** A map with exactly one key, the type: `{ sqlite: {…} }` → `{ type: 'sqlite', settings }`. */
  variant: variant as VariantMaker,
  /** A short form, or a map that says more: `4452`, `{ prefix: '44' }`. */
  either: either as EitherMaker,
  /** A spec made elsewhere, as a setting that may be left out. */
  optional,
}
