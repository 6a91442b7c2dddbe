// The two ways in: YAML text with places, and plain JavaScript values.

import type { Fault, Result } from '#protocol/base/mod.ts'
import type { Field } from './field.ts'
import { type JsonBounds, rawFromJson } from './json.ts'
import { Findings, type Origin, type Raw, rawFromValue } from './raw.ts'
import { FAILED, Reader } from './read.ts'
import { rawFromYaml } from './yaml.ts'

/** Names the place of a setting for a fault: `where('listen.tcp.tls')`, or of the nearest map above it that was written. */
export type Where = (path: string) => string

/**
 * What one setting alone cannot tell (two ports that must differ): gets the whole value, gives the faults. It runs only
 * when every setting is right by itself.
 */
export type Inspect<T> = (value: T, where: Where) => readonly Fault[]

/**
 * YAML 1.2 text → settings. Every fault has `where` = `file:line:column path`. Codes: all `FIELD_…`, `YAML_SYNTAX`,
 * `YAML_ALIAS`. At most `FAULTS_MAX` faults, in the order of the text. With `json` a text that begins with `{` is JSON (fault
 * `JSON_SYNTAX`), within those bounds: it reads some fifty times as fast.
 */
export function parseFields<T>(
  spec: Field<T>,
  text: string,
  options: { readonly file: string; readonly inspect?: Inspect<NoInfer<T>>; readonly json?: JsonBounds },
): Result<T, Fault[]> {
  const findings = new Findings()
  const { file, json } = options
  const isJson = json !== undefined && /^\s*\{/.test(text)
  const { root, origin } = isJson ? rawFromJson(text, file, findings, json) : rawFromYaml(text, file, findings)
  if (root === null) return { ok: false, fault: findings.inOrder() }
  return finish(spec, root, origin, findings, options.inspect)
}

/** A plain value (JSON, MessagePack) → settings. Every fault has `where` = `where path`. */
export function parseValue<T>(
  spec: Field<T>,
  value: unknown,
  options: { readonly where: string; readonly inspect?: Inspect<NoInfer<T>> },
): Result<T, Fault[]> {
  const findings = new Findings()
  const origin: Origin = {
    missing: 'FIELD_MISSING',
    named: (path) => path,
    where: (_at, path) => (path === '' ? options.where : `${options.where} ${path}`),
    line: () => '',
  }
  const root = rawFromValue(value, findings, (path) => origin.where(-1, path))
  return finish(spec, root, origin, findings, options.inspect)
}

/** Reads raw values that are all there; shared with the command line. */
export function finish<T>(
  spec: Field<T>,
  root: Raw,
  origin: Origin,
  findings: Findings,
  inspect?: Inspect<T>,
): Result<T, Fault[]> {
  // An empty file is an empty map: what is missing in it is then named.
  const empty = root.kind === 'scalar' && root.value === null && spec.shape.kind === 'object'
  const raw: Raw = empty ? { kind: 'map', at: root.at, entries: [] } : root
  const value = new Reader(origin, findings).read(spec, raw, raw.at, '')
  if (value === FAILED || !findings.empty) return { ok: false, fault: findings.inOrder() }
  if (inspect !== undefined) {
    const faults = inspect(value as T, (path) => origin.where(placeOf(raw, path), path))
    if (faults.length > 0) return { ok: false, fault: [...faults] }
  }
  return { ok: true, value: value as T }
}

/** Follows `a.b[3].c` as far as it was written. */
function placeOf(root: Raw, path: string): number {
  let raw = root
  let { at } = root
  for (const step of path.match(/[^.[\]]+/g) ?? []) {
    if (raw.kind === 'map') {
      const entry = raw.entries.find((one) => one.key === step)
      if (entry === undefined) return at
      at = isNull(entry.value) ? entry.keyAt : entry.value.at
      raw = entry.value
    } else if (raw.kind === 'list') {
      const item = raw.items[Number(step)]
      if (item === undefined) return at
      at = item.at
      raw = item
    } else return at
  }
  return at
}

function isNull(raw: Raw): boolean {
  return raw.kind === 'scalar' && raw.value === null
}
