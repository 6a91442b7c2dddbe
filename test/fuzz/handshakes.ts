// Whole handshakes over a link: the peer's byte stream with frames damaged, repeated, reordered, left out or put in. A side may
// only end up ready when the peer's proof covers exactly what was said.

import { createHash } from 'node:crypto'
import { assert, type Fault } from '#protocol/base/mod.ts'
import { Random } from '#protocol/bytes/testing.ts'
import {
  FRAME_CLOSE,
  FRAME_HELLO,
  FRAME_PING,
  FRAME_PROOF,
  FrameReader,
  frameOf,
  PREFACE,
} from '#protocol/frame/mod.ts'
import {
  AgentHandshake,
  type AgentSettings,
  closeBody,
  fingerprint,
  HubHandshake,
  type HubSettings,
} from '#protocol/handshake/mod.ts'
import { decodeProof } from '#protocol/schema/mod.ts'
import { type Agreed, type ControlFrame, type Handshake, Link, sessionFault } from '#protocol/session/mod.ts'
import {
  AGENT_CERTIFICATE,
  AGENT_NAME,
  actorKey,
  CA,
  CA_CERTIFICATE,
  HUB_CERTIFICATE,
  HUB_NAME,
  NOW_MS,
  spkiOf,
} from '#protocol/spec/actors.ts'
import { mutated } from './mutate.ts'
import type { Reach, Target } from './target.ts'

const AGREED: Agreed = { keepaliveMs: 1000, frameBytesMax: 65_536 }
const KEYS = { hub: actorKey('hub'), agent: actorKey('agent') }

const common = {
  versions: { min: 1, max: 1 },
  features: [1],
  limits: {
    frameBytesMax: 262_144,
    batchBytesMax: 1_000_000,
    bodyBytesMax: 100_000,
    batchMessagesMax: 1000,
    headersBytesMax: 4096,
    creditBytesMax: 8_000_000,
    streamsMax: 16,
    subscriptionsMax: 16,
  },
  software: 'fuzz',
  channelBinding: Buffer.alloc(32, 1),
}

const agentSettings = (enrolling: boolean): AgentSettings => ({
  ...common,
  name: AGENT_NAME,
  nonce: Buffer.alloc(32, 2),
  hubName: HUB_NAME,
  key: KEYS.agent,
  purpose: enrolling
    ? { kind: 'enroll', secret: Buffer.alloc(32, 3), caFingerprint: fingerprint(CA_CERTIFICATE) }
    : { kind: 'session', certificate: AGENT_CERTIFICATE, ca: CA },
})

const hubSettings: HubSettings = {
  ...common,
  name: HUB_NAME,
  nonce: Buffer.alloc(32, 4),
  key: KEYS.hub,
  certificate: HUB_CERTIFICATE,
  caCertificate: CA_CERTIFICATE,
  sessionId: Buffer.alloc(16, 5),
  storeId: Buffer.alloc(16, 6),
  keepaliveMs: 1000,
  admit: () => {},
}

/** How far a side came. */
type Progress = { proven: boolean; done: boolean }

function hubSide(progress: Progress): Handshake<Agreed> {
  const hub = new HubHandshake(hubSettings)
  return {
    start: () => [],
    receive(kind, body) {
      let step = hub.receive(NOW_MS, kind, body)
      if (step.enrol !== null) {
        assert(step.enrol.publicKeySpki.equals(spkiOf(KEYS.agent)), 'no other key can be proven')
        step = hub.enrolled({ certificate: AGENT_CERTIFICATE, caCertificate: CA_CERTIFICATE })
      }
      if (step.send.length > 0) progress.proven = true
      if (step.done !== null) progress.done = true
      return { send: step.send, done: step.done === null ? null : AGREED }
    },
  }
}

function agentSide(enrolling: boolean, progress: Progress): Handshake<Agreed> {
  const agent = new AgentHandshake(agentSettings(enrolling))
  return {
    start: () => agent.start().send,
    receive(kind, body) {
      const step = agent.receive(NOW_MS, kind, body)
      progress.proven ||= agent.authenticated
      if (step.done !== null) progress.done = true
      return { send: step.send, done: step.done === null ? null : AGREED }
    },
  }
}

type Outcome = Progress & { frames: ControlFrame[]; closed: Fault | null }

/** Role 0: the hub; 1: an agent; 2: an agent that enrols. */
function drive(role: number, pieces: Iterable<Buffer>): Outcome {
  const outcome: Outcome = { frames: [], closed: null, proven: false, done: false }
  const sent = new FrameReader((kind, _channel, body) => outcome.frames.push([kind, Buffer.from(body)]))
  const link: Link<Agreed> = new Link({
    transport: { write: (bytes) => sent.push(bytes), end: () => {} },
    handler: {
      onReady: () => {},
      onFrame: () => {},
      onClosed: (fault) => {
        assert(outcome.closed === null, 'closed once')
        outcome.closed = fault
      },
    },
    handshake: role === 0 ? hubSide(outcome) : agentSide(role === 2, outcome),
    nowMs: 0,
    handshakeMsMax: 1000,
  })
  link.start()
  for (const piece of pieces) link.receive(1, piece)
  return outcome
}

const bytesOf = (frames: readonly ControlFrame[]): Buffer =>
  Buffer.concat([PREFACE, ...frames.map(([kind, body]) => frameOf(kind, 0, body))])

/** What the peer of each role says when all goes well. */
function conversation(enrolling: boolean): { toHub: ControlFrame[]; toAgent: ControlFrame[] } {
  const role = enrolling ? 2 : 1
  let toHub = drive(role, []).frames
  let toAgent: ControlFrame[] = []
  for (let round = 0; round < 3; round++) {
    toAgent = drive(0, [bytesOf(toHub)]).frames
    toHub = drive(role, [bytesOf(toAgent)]).frames
  }
  assert(drive(0, [bytesOf(toHub)]).done && drive(role, [bytesOf(toAgent)]).done, 'the sample handshakes end well')
  return { toHub, toAgent }
}

const SESSION = conversation(false)
const ENROLMENT = conversation(true)
const close: ControlFrame = [FRAME_CLOSE, closeBody(sessionFault('SESSION_SILENT'), { authenticated: true })]
const STRANGE: readonly ControlFrame[] = [
  ...SESSION.toHub,
  ...SESSION.toAgent,
  ...ENROLMENT.toHub,
  ...ENROLMENT.toAgent,
  close,
  [FRAME_PING, Buffer.alloc(8)],
]
/** By role, then by scenario. */
const STREAMS = [[SESSION.toHub, ENROLMENT.toHub], [SESSION.toAgent], [ENROLMENT.toAgent]]

function disordered(random: Random, frames: readonly ControlFrame[]): ControlFrame[] {
  const out = [...frames]
  const at = random.below(out.length)
  const damaged: ControlFrame = [
    (out[at] as ControlFrame)[0],
    mutated(random, (out[at] as ControlFrame)[1] as Buffer, random.pick(STRANGE)[1] as Buffer),
  ]
  switch (random.below(8)) {
    case 0:
      out.splice(at, 0, random.pick(STRANGE))
      break
    case 1:
      out.splice(at, 1)
      break
    case 2:
      out.splice(at, 0, out[at] as ControlFrame)
      break
    case 3:
      out.reverse()
      break
    case 4:
      out[at] = random.pick(STRANGE)
      break
    default:
      out[at] = damaged
  }
  return out
}

/** What a proof covers, and the proof: READY, ENROLL and ENROLLED are protected by TLS alone. */
function signedOf(frames: readonly ControlFrame[]): string[] {
  const signed: string[] = []
  for (const [kind, body] of frames) {
    if (kind === FRAME_HELLO) signed.push(Buffer.from(body).toString('hex'))
    if (kind === FRAME_PROOF) signed.push(Buffer.from(decodeProof(body).signature).toString('hex'))
  }
  return signed
}

/** Whether the stream, whose frames brought a side to its end, says another thing than some true peer of it did. */
function forged(role: number, stream: Buffer): boolean {
  const frames: ControlFrame[] = []
  const truths = (STREAMS[role] as ControlFrame[][]).map((truth) => signedOf(truth).join())
  const reader = new FrameReader((kind, _channel, body) => {
    if (frames.length < 3) frames.push([kind, body])
  })
  reader.push(stream)
  // A hub has heard two frames when it is done, an agent three; what follows does not count.
  return ![2, 3].some((heard) => truths.includes(signedOf(frames.slice(0, heard)).join()))
}

export const handshakes: Target = {
  name: 'handshakes',
  share: 0.02,
  layers: { framed: 0.7, proven: 0.25, done: 0.02 },
  make(random) {
    const role = random.below(3)
    const truth = random.pick(STREAMS[role] as ControlFrame[][])
    const stream = random.oneIn(30) ? bytesOf(truth) : bytesOf(disordered(random, truth))
    const bytes = random.oneIn(6) ? Buffer.concat([PREFACE, mutated(random, stream.subarray(8))]) : stream
    return Buffer.concat([Buffer.from([role]), bytes])
  },
  run(input, reach: Reach) {
    const role = (input[0] as number) % 3
    const stream = input.subarray(1)
    const random = new Random(createHash('sha256').update(input).digest().readUInt32LE(0))
    const pieces: Buffer[] = []
    for (let at = 0; at < stream.length; ) {
      const length = 1 + random.below(500)
      pieces.push(stream.subarray(at, at + length))
      at += length
    }
    const { closed, proven, done, frames } = drive(role, pieces)
    if (done) assert(!forged(role, stream), 'nobody is believed who changed what was said')
    if (closed?.code === 'INTERNAL') throw closed.cause ?? closed
    if (closed === null || !/^(PREFACE|FRAME)_/.test(closed.code)) reach('framed')
    if (proven) reach('proven')
    if (done) reach('done')
    assert(frames.length <= 6, 'a few frames in answer, whatever comes')
    if (closed !== null) throw closed
    return stream.length
  },
}
