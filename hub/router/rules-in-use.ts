// One version of the rules at work: what accepting a batch asks of it (topic and headers), and what the router's queue does (content).
//
// What is decided when a message comes in, by rules that need no more than its topic and headers, is not decided again later: the note
// of its entry in the router's queue (`noted.ts`) says by which version. So a message goes once where one version of the rules sends it, however
// often rules are deployed while it waits.

import type { IsolatedPool } from '#agent/components/isolation/mod.ts'
import { DOCUMENT_BYTES_DEFAULT } from '#agent/components/limits.ts'
import { contentIn, type DocumentSession } from '#hub/transform/mod.ts'
import { asFault, Fault } from '#protocol/base/mod.ts'
import { type Batch, type Envelope, HEADER_CONTENT_TYPE } from '#protocol/codec/mod.ts'
import type { RulesVersion } from './deployments.ts'
import { routerFault } from './faults.ts'
import { Judge, type Question } from './judge.ts'
import type { Noted, Remainder } from './noted.ts'
import type { HeaderRules } from './router.ts'
import { type AtOnce, type CompiledRule, type CompiledRules, type Match, topicOf, type Way } from './rules/mod.ts'
import type { Deciding, Decision, RuleWay } from './ways.ts'

/** In the order of what was asked; one fault when it could not be looked at at all. */
type Verdicts = readonly (boolean | Fault)[] | Fault

const NO_QUEUES: readonly string[] = []
/** Rules that a remark names. */
const NAMED_MAX = 5

export class RulesInUse implements Deciding, HeaderRules {
  readonly version: RulesVersion
  readonly rules: CompiledRules
  private readonly judge: Judge

  constructor(rules: CompiledRules, version: RulesVersion, pool: IsolatedPool) {
    this.rules = rules
    this.version = version
    this.judge = new Judge(pool, rules.predicates)
  }

  get defaults(): readonly string[] {
    return this.rules.set.default
  }

  get isQuick(): boolean {
    return this.rules.isQuick
  }

  get documentBytesMax(): number {
    return this.rules.set.documentBytesMax ?? DOCUMENT_BYTES_DEFAULT
  }

  route(envelope: Envelope): AtOnce {
    return this.rules.atOnce(envelope)
  }

  async decide(
    batch: Batch,
    places: readonly number[],
    {
      noted,
      had,
      signal,
      documents,
    }: {
      readonly noted: Noted | null
      readonly had: readonly string[]
      readonly signal: AbortSignal
      readonly documents: DocumentSession | null
    },
  ): Promise<readonly Decision[]> {
    const { envelopes } = batch.index()
    const message = batch.messages()
    const views = places.map((place) => message(place))
    const left = noted?.left ?? null
    if (left?.made === true) return views.map(({ envelope }) => this.madeDecision(envelope, left, had))
    const among = left === null ? null : this.among(left)
    const matches = new Map<Envelope, Match>()
    for (const envelope of envelopes) matches.set(envelope, this.rules.match(envelope, among))
    const questions: Question[] = []
    const asked = new Map<number, number>()
    const answers = new Map<number, Verdicts>()
    for (const [i, { envelope, body }] of views.entries()) {
      const { wanted } = matches.get(envelope) as Match
      if (wanted.length === 0) continue
      const content = documents === null ? null : contentIn(envelope.headers)
      if (documents !== null && content !== null) {
        answers.set(i, await this.askOf(content, wanted, { documents, signal }))
        continue
      }
      const type = envelope.headers[HEADER_CONTENT_TYPE]
      asked.set(i, questions.length)
      questions.push({ body, contentType: typeof type === 'string' ? type : '', wanted })
    }
    const verdicts = questions.length === 0 ? [] : await this.judge.ask(questions, signal)
    return views.map(({ envelope }, i) => {
      const match = matches.get(envelope) as Match
      const question = asked.get(i)
      const isAsked = question !== undefined || answers.has(i)
      const answer = isAsked ? (answers.get(i) ?? (verdicts[question as number] as Verdicts)) : []
      // What came in under these rules went at once where topic and headers send it.
      const placed = noted === null || left !== null ? had : match.atOnce.queues
      return this.decision(match, answer, { envelope, placed, noted })
    })
  }

  close(): void {
    this.judge.close()
  }

  /** Asks the one large content that a message refers to. Throws what may pass. */
  private async askOf(
    id: string,
    wanted: readonly number[],
    { documents, signal }: { readonly documents: DocumentSession; readonly signal: AbortSignal },
  ): Promise<Verdicts> {
    const { content, known } = documents.content(id)
    try {
      const lent = await content.read()
      try {
        const question = { body: lent.bytes, contentType: known?.mediaType ?? '', wanted }
        const [answer] = await this.judge.ask([question], signal)
        return answer as Verdicts
      } finally {
        lent.release()
      }
    } catch (error) {
      if (!(error instanceof Fault) || error.details.retry === true) throw asFault(error, `content ${id}`)
      // Rules that ask for no more than headers still count.
      return wanted.map(() => error)
    }
  }

  /** The rules that decide what is left of a message. */
  private among({ only, behind, done }: Remainder): (rule: CompiledRule) => boolean {
    const isDone = new Set(done)
    const all = ({ rule }: CompiledRule): boolean => !isDone.has(rule.name)
    if (only === null || this.missing(only).length > 0) return all
    const named = new Set(only)
    const from = behind === null ? undefined : this.rules.named(behind)?.order
    return (rule) => all(rule) && (named.has(rule.rule.name) || (from !== undefined && rule.order > from))
  }

  remark({ only, behind, made }: Remainder): string {
    if (only === null) return 'decided by all rules, without what it went through'
    const [gone] = this.missing(only)
    if (gone !== undefined && made) return `rule ${gone} is not there any more: it stays dead, or goes back with --to`
    if (gone !== undefined)
      return `rule ${gone} is not there any more: decided by all rules, without what it went through`
    const named = only.length > NAMED_MAX ? `${only.length} rules` : `rule ${only.join(', ')}`
    if (made) return `to the queues of ${named}`
    return `decided by ${named} alone${behind === null ? '' : `, and by those behind ${behind} if it does not fit`}`
  }

  /** Of these names those that no rule has. */
  private missing(names: readonly string[]): readonly string[] {
    return names.filter((name) => this.rules.named(name) === undefined)
  }

  /** What a pipeline made goes where its rules say, and through no pipeline again. */
  private madeDecision(envelope: Envelope, { only }: Remainder, had: readonly string[]): Decision {
    const names = only ?? NO_QUEUES
    const gone = new Set(this.missing(names))
    const ways = names.flatMap((name): RuleWay[] => {
      const queues = (this.rules.named(name)?.rule.to ?? NO_QUEUES).filter((queue) => !had.includes(queue))
      return queues.length === 0 ? [] : [{ rules: [name], pipeline: null, topic: envelope.topic, queues }]
    })
    const faults = [...gone].map((rule) => ({ rule, fault: routerFault('ROUTE_RULE_GONE', { where: `rule ${rule}` }) }))
    return { ways, placed: true, faults, had, endedBy: null }
  }

  private decision(
    match: Match,
    verdicts: Verdicts,
    {
      envelope,
      placed,
      noted,
    }: { readonly envelope: Envelope; readonly placed: readonly string[]; readonly noted: Noted | null },
  ): Decision {
    const isPlaced = noted?.placed === true
    if (!Array.isArray(verdicts)) {
      const faults = [{ rule: null, fault: verdicts as Fault }]
      return { ways: [], placed: isPlaced, faults, had: placed, endedBy: null }
    }
    const decided = this.rules.decide<Fault>(match, verdicts)
    const { because, ways, failures } = decided
    const ending = [...decided.rules, ...failures.map(({ rule }) => rule)].find(({ ends }) => ends)
    return {
      ways: because === 'rules' ? ways.flatMap((way) => wayOf(way, placed, envelope)) : [],
      placed: isPlaced || because === 'rules',
      faults: failures.map(({ rule, fault }) => ({ rule: rule.rule.name, fault })),
      had: placed,
      endedBy: ending?.rule.name ?? null,
    }
  }
}

/** The key of a pipeline with the topic it gives: see `RuleWay`. */
export function pipelineKey({ pipeline, topic }: Pick<Way, 'pipeline' | 'topic'>): string | null {
  return pipeline === null || topic === null ? pipeline : `${pipeline} → ${topic}`
}

function wayOf(way: Way, placed: readonly string[], envelope: Envelope): RuleWay[] {
  const pipeline = pipelineKey(way)
  const queues =
    pipeline === null && placed.length > 0 ? way.queues.filter((name) => !placed.includes(name)) : way.queues
  if (queues.length === 0) return []
  const topic = way.topic === null ? envelope.topic : topicOf(way.topic, envelope)
  return [{ rules: way.rules, pipeline, topic, queues }]
}
