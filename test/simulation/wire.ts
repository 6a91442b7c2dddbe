// Reads along at an agent's end of a connection and holds both sides to the credit they were given.

import {
  BATCH_FRAME_BYTES_MAX,
  FRAME_ACCEPTED,
  FRAME_BATCH,
  FRAME_CREDIT,
  FRAME_DELIVER,
  FRAME_READY,
  FRAME_SUBSCRIBE,
  FRAME_SUBSCRIBED,
  FrameReader,
} from '#protocol/frame/mod.ts'
import { decodeAccepted, decodeCredit, decodeReady, decodeSubscribe, decodeSubscribed } from '#protocol/schema/mod.ts'
import { parseDeliverPrefix } from '#protocol/session/mod.ts'
import type { Line } from './network.ts'

type Account = { bytes: number; messages: number; usedBytes: number; usedMessages: number }

export class Wire {
  private readonly name: string
  private readonly broken: (what: string) => void
  private readonly asked = new Map<number, Account>()
  private readonly consumers = new Map<number, Account>()
  private creditBytes = 0
  private sentBytes = 0

  constructor(line: Line, broken: (what: string) => void) {
    this.name = line.name
    this.broken = broken
    const toHub = new FrameReader((kind, _channel, body) => this.sent(kind, body))
    const toAgent = new FrameReader((kind, _channel, body) => this.arrived(kind, body))
    toHub.batchBytesMax = BATCH_FRAME_BYTES_MAX
    toAgent.batchBytesMax = BATCH_FRAME_BYTES_MAX
    line.agentEnd.onBytes = (way, bytes) => (way === 'out' ? toHub : toAgent).push(bytes)
  }

  private sent(kind: number, body: Buffer): void {
    if (kind === FRAME_SUBSCRIBE) {
      const { request, creditBytes, creditMessages } = decodeSubscribe(body)
      this.asked.set(request, { bytes: creditBytes, messages: creditMessages, usedBytes: 0, usedMessages: 0 })
    } else if (kind === FRAME_CREDIT) {
      const { consumer, bytes, messages } = decodeCredit(body)
      const account = this.consumers.get(consumer)
      if (account === undefined) return
      account.bytes = Math.max(account.bytes, bytes)
      account.messages = Math.max(account.messages, messages)
    } else if (kind === FRAME_BATCH) {
      // Both ways the bytes may pass the credit by one frame.
      if (this.sentBytes >= this.creditBytes) this.broken(`${this.name}: the agent sends beyond its credit`)
      this.sentBytes += body.length
    }
  }

  private arrived(kind: number, body: Buffer): void {
    if (kind === FRAME_READY) this.raise(decodeReady(body).limits?.creditBytesMax ?? 0)
    else if (kind === FRAME_ACCEPTED) this.raise(decodeAccepted(body).creditBytes)
    else if (kind === FRAME_CREDIT) this.raise(decodeCredit(body).bytes)
    else if (kind === FRAME_SUBSCRIBED) {
      const { request, consumer } = decodeSubscribed(body)
      const account = this.asked.get(request)
      if (account !== undefined) this.consumers.set(consumer, account)
    } else if (kind === FRAME_DELIVER) this.delivered(body)
  }

  private delivered(body: Buffer): void {
    const { consumer, count } = parseDeliverPrefix(body)
    const account = this.consumers.get(consumer)
    if (account === undefined) {
      this.broken(`${this.name}: a delivery for consumer ${consumer}, which nobody is`)
      return
    }
    if (account.usedBytes >= account.bytes)
      this.broken(`${this.name}: consumer ${consumer} gets more bytes than it asked for`)
    account.usedBytes += body.length
    account.usedMessages += count
    if (account.usedMessages > account.messages) {
      this.broken(`${this.name}: consumer ${consumer} gets ${account.usedMessages} messages of ${account.messages}`)
    }
  }

  private raise(bytes: number): void {
    this.creditBytes = Math.max(this.creditBytes, bytes)
  }
}
