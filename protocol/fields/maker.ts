// The types of the builders in `field.ts`: which options each takes, and what type of value comes out.

import type { Field, Infer, PresenceOf } from './field.ts'

/** `doc` says in one line what the setting is for; `check` gives the reason why a value cannot be used, or `null`. */
type Options<T> = { readonly doc: string; readonly check?: (value: T) => string | null }

/** `pattern` is tested against the whole value as written in the expression: anchor it. `example` is shown in faults. */
export type TextOptions = {
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: RegExp
  readonly secret?: boolean
  readonly example?: string
}
export type RangeOptions = { readonly min?: number; readonly max?: number }
type ListOptions = RangeOptions & { readonly lone?: boolean }
type RecordOptions = { readonly max?: number; readonly keys?: RegExp }

type Optional = { readonly optional: true }
type Default<T> = { readonly default: T }

export type Maker<T, O> = {
  (options: Options<T> & O & Optional): Field<T, 'optional'>
  (options: Options<T> & O & Default<T>): Field<T, 'default'>
  (options: Options<T> & O): Field<T, 'required'>
}

export type ChoiceMaker = {
  <const C extends readonly string[]>(values: C, options: Options<C[number]> & Optional): Field<C[number], 'optional'>
  <const C extends readonly string[]>(
    values: C,
    options: Options<C[number]> & Default<NoInfer<C[number]>>,
  ): Field<C[number], 'default'>
  <const C extends readonly string[]>(values: C, options: Options<C[number]>): Field<C[number], 'required'>
}

export type ListMaker = {
  <T>(item: Field<T, 'required'>, options: Options<T[]> & ListOptions & Optional): Field<T[], 'optional'>
  <T>(item: Field<T, 'required'>, options: Options<T[]> & ListOptions & Default<NoInfer<T>[]>): Field<T[], 'default'>
  <T>(item: Field<T, 'required'>, options: Options<T[]> & ListOptions): Field<T[], 'required'>
}

type Entries<T> = Record<string, T>

export type RecordMaker = {
  <T>(
    item: Field<T, 'required'>,
    options: Options<Entries<T>> & RecordOptions & Optional,
  ): Field<Entries<T>, 'optional'>
  <T>(
    item: Field<T, 'required'>,
    options: Options<Entries<T>> & RecordOptions & Default<Entries<NoInfer<T>>>,
  ): Field<Entries<T>, 'default'>
  <T>(item: Field<T, 'required'>, options: Options<Entries<T>> & RecordOptions): Field<Entries<T>, 'required'>
}

type Fields = Readonly<Record<string, Field>>

type Simplified<T> = { [K in keyof T]: T[K] }

/** The value of `f.object(fields)`. */
export type ObjectOf<F extends Fields> = Simplified<
  { -readonly [K in keyof F as PresenceOf<F[K]> extends 'optional' ? never : K]: Infer<F[K]> } & {
    -readonly [K in keyof F as PresenceOf<F[K]> extends 'optional' ? K : never]?: Infer<F[K]>
  }
>

/** The value of `f.variant(types)`: a union told apart by `type`. */
export type VariantOf<V extends Fields> = {
  [K in keyof V & string]: { type: K; settings: Infer<V[K]> }
}[keyof V & string]

export type EitherMaker = {
  <A, B>(
    plain: Field<A, 'required'>,
    map: Field<B, 'required'>,
    options: Options<A | B> & Optional,
  ): Field<A | B, 'optional'>
  <A, B>(plain: Field<A, 'required'>, map: Field<B, 'required'>, options: Options<A | B>): Field<A | B, 'required'>
}

export type ObjectMaker = {
  <F extends Fields>(
    fields: F,
    options: Partial<Options<ObjectOf<NoInfer<F>>>> & Optional,
  ): Field<ObjectOf<F>, 'optional'>
  <F extends Fields>(fields: F, options?: Partial<Options<ObjectOf<NoInfer<F>>>>): Field<ObjectOf<F>, 'required'>
}

export type VariantMaker = {
  <V extends Fields>(types: V, options: Options<VariantOf<NoInfer<V>>> & Optional): Field<VariantOf<V>, 'optional'>
  <V extends Fields>(types: V, options: Options<VariantOf<NoInfer<V>>>): Field<VariantOf<V>, 'required'>
}
