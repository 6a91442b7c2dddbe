// A flow file: where records come from, what happens to them on the way, where they go. Components are named by type; their
// settings are read by the specs in the registry that is handed in.

import type { Fault, Result } from '#protocol/base/mod.ts'
import { type FieldSpec, f, type Infer, parseFields } from '#protocol/fields/mod.ts'
import { type ChannelCase, casesSpec } from '../components/cases/mod.ts'
import { DOCUMENT_BYTES_DEFAULT, DOCUMENT_BYTES_MAX } from '../components/limits.ts'
import { RETRY_MS_MAX } from './limits.ts'

/** Components between source and destination; each costs a pass over every portion. */
const CHANNELS_MAX = 50

/** With shorter waits a full disk or an absent server would be hammered. */
const RETRY_MS_MIN = 10

/** What this file needs of a component registry: a settings spec (`f.object`) for every type. */
export type FlowRegistry = {
  readonly [kind in 'source' | 'channel' | 'destination']: Readonly<Record<string, { readonly settings: FieldSpec }>>
}

/** A component of a flow. `settings` were read by the spec that the registry has for this type. */
export type FlowComponent = { readonly type: string; readonly settings: unknown }

/** Waiting before a repeat: `firstMs`, growing to `maxMs`. */
export type FlowRetry = { readonly firstMs: number; readonly maxMs: number }

export type FlowFile = {
  /** Also the name of the flow's folder and of its producer stream. */
  readonly name: string
  readonly source: FlowComponent
  readonly channels: readonly FlowComponent[]
  readonly destination: FlowComponent
  readonly retry: FlowRetry
  /** The largest content at the hub that channels get. */
  readonly documentBytesMax: number
  readonly cases: readonly ChannelCase[]
}

const retrySpec = f.object(
  {
    firstMs: f.duration({ doc: 'wait before the first repeat', min: RETRY_MS_MIN, max: RETRY_MS_MAX, default: 500 }),
    maxMs: f.duration({ doc: 'longest wait between repeats', min: RETRY_MS_MIN, max: RETRY_MS_MAX, default: 60_000 }),
  },
  {
    doc: 'how long to wait when a source or destination is away',
    check: ({ firstMs, maxMs }) =>
      firstMs <= maxMs ? null : `firstMs (${firstMs}ms) is longer than maxMs (${maxMs}ms)`,
  },
)

/** The spec of a flow file whose components are those of the registry; for reading, manuals and forms. */
export function flowFileSpec(registry: FlowRegistry) {
  return f.object({
    flow: f.text({
      doc: 'name of the flow: lower-case letters, digits, and ".", "_", "-" inside',
      // A folder on any system: no capitals that some file systems fold, no dot at the end, which Windows drops.
      pattern: /^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/,
      maxLength: 63,
      example: 'villages',
      check: (name) =>
        /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/.test(name) ? 'Windows keeps this name for a device' : null,
    }),
    source: f.variant(settingsOf(registry.source), { doc: 'where the records come from' }),
    channels: f.list(f.variant(settingsOf(registry.channel), { doc: 'one step on the way' }), {
      doc: 'what happens to the records on the way, in this order',
      max: CHANNELS_MAX,
      default: [],
    }),
    destination: f.variant(settingsOf(registry.destination), { doc: 'where the records go' }),
    retry: retrySpec,
    documentBytesMax: f.bytes({
      doc: 'largest document that channels get of large content at the hub; they refuse a larger one when they ask for it',
      min: 1,
      max: DOCUMENT_BYTES_MAX,
      default: DOCUMENT_BYTES_DEFAULT,
    }),
    cases: casesSpec,
  })
}

/**
 * Reads a flow file. `file` names it in faults, each of which has file, line, column and setting. Codes: `FIELD_…`,
 * `YAML_…`.
 */
export function parseFlowFile(
  text: string,
  options: { readonly file: string; readonly registry: FlowRegistry },
): Result<FlowFile, Fault[]> {
  const spec = flowFileSpec(options.registry)
  const parsed = parseFields(spec, text, { file: options.file })
  return parsed.ok ? { ok: true, value: flowFile(parsed.value) } : parsed
}

function flowFile({ flow, ...rest }: Infer<ReturnType<typeof flowFileSpec>>): FlowFile {
  return { name: flow, ...rest }
}

function settingsOf(kind: FlowRegistry['source']): Record<string, FieldSpec> {
  return Object.fromEntries(Object.entries(kind).map(([type, { settings }]) => [type, settings]))
}
