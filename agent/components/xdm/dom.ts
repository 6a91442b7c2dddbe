// XML text → DOM, and back.

import type { Document, Node } from 'slimdom'
import { slimdom } from './engines.ts'

export const parseDom = (text: string): Document => slimdom().parseXmlDocument(text)

export const serializeNode = (node: Node): string => slimdom().serializeToWellFormedString(node)

export const isNode = (item: unknown): item is Node => item instanceof slimdom().Node

/** The string value. */
export function textOf(node: Node): string {
  return (node instanceof slimdom().Document ? node.documentElement?.textContent : node.textContent) ?? ''
}
