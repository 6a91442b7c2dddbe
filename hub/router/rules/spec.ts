// A rule set as field specs: what stands in a rule file.

import { DOCUMENT_BYTES_DEFAULT, DOCUMENT_BYTES_MAX } from '#agent/components/limits.ts'
import { builtinComponents, type ComponentEntry } from '#agent/components/mod.ts'
import { type PredicateSpec, predicateSpec } from '#agent/components/predicates/mod.ts'
import { patternProblem } from '#protocol/codec/mod.ts'
import { type Field, f, type Infer } from '#protocol/fields/mod.ts'
import {
  CASE_BODY_CHARS_MAX,
  CASES_MAX,
  PIPELINES_MAX,
  RULE_HEADERS_MAX,
  RULE_NAME_CHARS_MAX,
  RULE_QUEUES_MAX,
  RULE_TOPICS_MAX,
  RULE_VALUE_CHARS_MAX,
  RULE_VALUES_MAX,
  RULES_MAX,
  STEPS_MAX,
} from './limits.ts'

const named = (doc: string) => ({
  doc: `${doc}: letters and digits of any script, ".", "_", "-", "/" and spaces inside`,
  maxLength: RULE_NAME_CHARS_MAX,
  pattern: /^[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}._\-/ ]*[\p{L}\p{M}\p{N}])?$/u,
  example: 'permits to tax',
})

const queues = (doc: string, min: number) =>
  f.list(f.text({ doc: 'queue', maxLength: 200 }), { doc, min, max: RULE_QUEUES_MAX, lone: true })

const values = f.list(f.text({ doc: 'value', minLength: 0, maxLength: RULE_VALUE_CHARS_MAX }), {
  doc: 'values the header may have',
  min: 1,
  max: RULE_VALUES_MAX,
  lone: true,
})

const number = (doc: string) =>
  f.text({ doc, pattern: /^-?\d{1,30}(?:\.\d{1,30})?$/, maxLength: 64, example: '1000', optional: true })

const comparisons = {
  exists: f.boolean({ doc: 'whether the header is there, with a value', optional: true }),
  prefix: f.list(f.text({ doc: 'text', maxLength: RULE_VALUE_CHARS_MAX }), {
    doc: 'its value begins with one of these',
    min: 1,
    max: RULE_VALUES_MAX,
    lone: true,
    optional: true,
  }),
  above: number('its value is a number greater than this'),
  below: number('its value is a number less than this'),
}

const header = f.either(
  values,
  f.object(
    {
      ...comparisons,
      not: f.either(values, f.object(comparisons, { doc: 'comparisons' }), {
        doc: 'what must not hold; it does not hold of a header that is not there',
        optional: true,
      }),
    },
    {
      doc: 'comparisons; all of them must hold',
      check: (test) => (Object.keys(test).length === 0 ? 'nothing is compared' : null),
    },
  ),
  { doc: 'values the header may have, or comparisons' },
)

const rule = f.object(
  {
    name: f.text(named('name of the rule')),
    topics: f.list(f.text({ doc: 'topic pattern', check: patternProblem }), {
      doc: 'messages whose topic fits any of these patterns: + is one level, # at the end any number',
      min: 1,
      max: RULE_TOPICS_MAX,
      lone: true,
    }),
    where: f.record(header, {
      doc: 'what its headers must be, for every header named',
      max: RULE_HEADERS_MAX,
      default: {},
    }),
    when: f.optional(predicateSpec, { doc: 'what its content must be' }),
    pipeline: f.text({ ...named('pipeline that the message goes through'), optional: true }),
    topic: f.text({
      doc: 'topic of what the pipeline makes: {topic} is the one it had, {name} the header of that name',
      maxLength: 1_000,
      optional: true,
    }),
    to: queues('queues it goes to', 1),
    final: f.boolean({ doc: 'rules after this one are not looked at when it fits', default: false }),
  },
  { doc: 'one rule' },
)

const body = {
  body: f.text({ doc: 'content as text', minLength: 0, maxLength: CASE_BODY_CHARS_MAX, optional: true }),
  json: f.any({ doc: 'content as JSON', optional: true }),
  base64: f.text({ doc: 'content in base64', minLength: 0, maxLength: CASE_BODY_CHARS_MAX, optional: true }),
  file: f.text({ doc: 'content in a file; a relative path starts at the folder of the rule file', optional: true }),
}

/** A message as cases and `route explain` take it. */
export const sampleSpec = f.object(
  {
    topic: f.text({ doc: 'topic', maxLength: 255 }),
    headers: f.record(f.text({ doc: 'value', minLength: 0 }), { doc: 'headers', max: RULE_HEADERS_MAX, default: {} }),
    key: f.text({ doc: 'key', maxLength: 1_024, optional: true }),
    contentType: f.text({
      doc: 'content type; left out: the header :content-type, else application/json with json',
      maxLength: 200,
      optional: true,
    }),
    ...body,
  },
  { doc: 'a message' },
)

const oneCase = f.object(
  {
    name: f.text({ doc: 'what it shows', maxLength: 200 }),
    input: sampleSpec,
    expect: f.object(
      {
        rules: f.list(f.text({ doc: 'rule' }), { doc: 'rules that fit, in order', lone: true, optional: true }),
        queues: f.list(f.text({ doc: 'queue' }), {
          doc: 'queues it goes to, in any order; [] for none',
          lone: true,
          optional: true,
        }),
        documents: f.list(
          f.object({
            queue: f.text({ doc: 'one of the queues it goes to', optional: true }),
            topic: f.text({ doc: 'topic', optional: true }),
            ...body,
          }),
          {
            doc: 'what the pipelines make of it, in order; XML and JSON are compared by meaning',
            lone: true,
            optional: true,
          },
        ),
        reason: f.text({ doc: 'fault code with which it goes to the dead letters', maxLength: 100, optional: true }),
      },
      {
        doc: 'what must come of it',
        check: (expect) => (Object.keys(expect).length === 0 ? 'nothing is expected' : null),
      },
    ),
  },
  { doc: 'one case' },
)

/** The spec of a rule set whose pipelines are made of the channels in `entries`. */
export function ruleSetSpec(entries: readonly ComponentEntry[] = builtinComponents) {
  const channels: Record<string, Field> = {}
  for (const { kind, type, settings } of entries) if (kind === 'channel') channels[type] = settings
  return f.object({
    mode: f.choice(['all', 'first'], {
      doc: 'whether a message goes where all rules that fit send it, or where the first of them does',
      default: 'all',
    }),
    rules: f.list(rule, { doc: 'rules, in the order they are looked at', max: RULES_MAX }),
    default: f.list(f.text({ doc: 'queue', maxLength: 200 }), {
      doc: 'queues of messages that no rule fits and no queue asks for; without them they go to $unrouted',
      max: RULE_QUEUES_MAX,
      lone: true,
      default: [],
    }),
    documentBytesMax: f.bytes({
      doc: 'largest document that conditions and pipelines get of large content, to which a message refers; with a larger one it goes to the dead letters when they ask for it',
      min: 1,
      max: DOCUMENT_BYTES_MAX,
      default: DOCUMENT_BYTES_DEFAULT,
    }),
    pipelines: f.record(
      f.object(
        {
          steps: f.list(f.variant(channels, { doc: 'channel' }), {
            doc: 'channels, as in a flow file, in this order',
            min: 1,
            max: STEPS_MAX,
          }),
        },
        { doc: 'a pipeline' },
      ),
      { doc: 'what messages go through, by name', max: PIPELINES_MAX, default: {} },
    ),
    cases: f.list(oneCase, {
      doc: 'what must come of samples; run before the set is deployed',
      max: CASES_MAX,
      default: [],
    }),
  })
}

export type RuleSet = Infer<ReturnType<typeof ruleSetSpec>>
export type Rule = RuleSet['rules'][number]
export type HeaderTest = Rule['where'][string]
export type Comparisons = Exclude<HeaderTest, readonly string[]>
export type PipelineSpec = RuleSet['pipelines'][string]
export type { PredicateSpec }
export type RouteCase = RuleSet['cases'][number]
export type SampleSpec = Infer<typeof sampleSpec>
