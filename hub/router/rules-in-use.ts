// One version of the rules at work: what accepting a batch asks of it (topic and headers), and what the router's queue does (content).
//
// What is decided when a message comes in, by rules that need no more than its topic and headers, is not decided again later: the note
// of its entry in the router's queue says by which version. So a message goes once where one version of the rules sends it, however
// often rules are deployed while it waits.

import type { IsolatedPool } from '#agent/components/isolation/mod.ts'
import { DOCUMENT_BYTES_DEFAULT } from '#agent/components/limits.ts'
import { contentIn, type DocumentSession } from '#hub/transform/mod.ts'
import { asFault, Fault } from '#protocol/base/mod.ts'
import { type Batch, type Envelope, HEADER_CONTENT_TYPE } from '#protocol/codec/mod.ts'
import type { RulesVersion } from './deployments.ts'
import { Judge, type Question } from './judge.ts'
import type { HeaderRules } from './router.ts'
import { type AtOnce, type CompiledRules, type Match, topicOf, type Way } from './rules/mod.ts'
import type { Deciding, Decision, Noted, RuleWay } from './ways.ts'

/** In the order of what was asked; one fault when it could not be looked at at all. */
type Verdicts = readonly (boolean | Fault)[] | Fault

const NO_QUEUES: readonly string[] = []

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
    return this.rules.match(envelope).atOnce
  }

  async decide(
    batch: Batch,
    places: readonly number[],
    {
      noted,
      signal,
      documents,
    }: { readonly noted: Noted | null; readonly signal: AbortSignal; readonly documents: DocumentSession | null },
  ): Promise<readonly (Decision | Fault)[]> {
    const { envelopes } = batch.index()
    const matches = new Map<Envelope, Match>()
    for (const envelope of envelopes) matches.set(envelope, this.rules.match(envelope))
    const message = batch.messages()
    const questions: Question[] = []
    const asked = new Map<number, number>()
    const answers = new Map<number, Verdicts>()
    const views = places.map((place) => message(place))
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
      if (question === undefined && !answers.has(i)) return this.decision(match, [], { envelope, noted })
      const answer = answers.get(i) ?? (verdicts[question as number] as Verdicts)
      return Array.isArray(answer) ? this.decision(match, answer, { envelope, noted }) : (answer as Fault)
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

  private decision(
    match: Match,
    verdicts: readonly (boolean | Fault)[],
    { envelope, noted }: { readonly envelope: Envelope; readonly noted: Noted | null },
  ): Decision {
    const { because, ways, failures } = this.rules.decide<Fault>(match, verdicts)
    const placed = noted === null ? NO_QUEUES : match.atOnce.queues
    return {
      ways: because === 'rules' ? ways.flatMap((way) => wayOf(way, placed, envelope)) : [],
      placed: noted?.placed === true || because === 'rules',
      faults: failures.map(({ rule, fault }) => ({ rule: rule.rule.name, fault })),
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
  return [{ rule: way.rules.join(', '), pipeline, topic, queues }]
}
