// Topic patterns: levels joined by "/", "+" for exactly one level, "#" as the last level for any number of levels (also none).

import { TOPIC_BYTES_MAX } from './limits.ts'

/** Why `pattern` is not a topic pattern, or `null` when it is one. */
export function patternProblem(pattern: string): string | null {
  if (pattern === '' || Buffer.byteLength(pattern) > TOPIC_BYTES_MAX)
    return `it must have 1 to ${TOPIC_BYTES_MAX} bytes`
  const levels = pattern.split('/')
  for (const [i, level] of levels.entries()) {
    if (level === '') return 'a level is empty'
    if (level === '#' && i < levels.length - 1) return '"#" may only be the last level'
    if (level.length > 1 && /[+#]/.test(level)) return `"+" and "#" stand alone in a level, not in "${level}"`
    for (const char of level)
      if ((char.codePointAt(0) as number) < 0x20 || char === '\x7f') return 'it has a control character'
  }
  return null
}

/** Whether `topic` fits `pattern`. Both must be valid. */
export function topicMatches(pattern: string, topic: string): boolean {
  const wanted = pattern.split('/')
  const levels = topic.split('/')
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === '#') return true
    if (i >= levels.length || (wanted[i] !== '+' && wanted[i] !== levels[i])) return false
  }
  return wanted.length === levels.length
}

/** Whether every topic that fits `inner` also fits `outer`: what a right to `outer` must grant. */
export function patternCovers(outer: string, inner: string): boolean {
  const allowed = outer.split('/')
  const asked = inner.split('/')
  for (let i = 0; i < allowed.length; i++) {
    if (allowed[i] === '#') return true
    if (i >= asked.length || asked[i] === '#') return false
    if (allowed[i] !== '+' && allowed[i] !== asked[i]) return false
  }
  return allowed.length === asked.length
}

/** Finds all values whose pattern fits a topic, in time that depends on the topic's levels, not on the number of patterns. */
export class TopicTree<T> {
  private readonly root: Node<T> = newNode()

  add(pattern: string, value: T): void {
    let node = this.root
    for (const level of pattern.split('/')) {
      if (level === '#') {
        node.rest.push(value)
        return
      }
      let next = node.children.get(level)
      if (next === undefined) {
        next = newNode()
        node.children.set(level, next)
      }
      node = next
    }
    node.here.push(value)
  }

  /** Values of all matching patterns; a value added under several matching patterns comes several times. */
  match(topic: string): T[] {
    const found: T[] = []
    collect(this.root, topic.split('/'), 0, found)
    return found
  }
}

type Node<T> = { readonly children: Map<string, Node<T>>; readonly here: T[]; readonly rest: T[] }

function newNode<T>(): Node<T> {
  return { children: new Map(), here: [], rest: [] }
}

function collect<T>(node: Node<T>, levels: readonly string[], at: number, found: T[]): void {
  found.push(...node.rest)
  if (at === levels.length) {
    found.push(...node.here)
    return
  }
  const exact = node.children.get(levels[at] as string)
  if (exact !== undefined) collect(exact, levels, at + 1, found)
  const any = node.children.get('+')
  if (any !== undefined) collect(any, levels, at + 1, found)
}
