// XML text → DOM, and back.

import * as slimdom from 'slimdom'

export const parseDom = (text: string): slimdom.Document => slimdom.parseXmlDocument(text)

export const serializeNode = (node: slimdom.Node): string => slimdom.serializeToWellFormedString(node)

export const isNode = (item: unknown): item is slimdom.Node => item instanceof slimdom.Node

/** The string value. */
export function textOf(node: slimdom.Node): string {
  return (node instanceof slimdom.Document ? node.documentElement?.textContent : node.textContent) ?? ''
}
