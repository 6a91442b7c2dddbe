// XML text → DOM, and back.

import * as slimdom from 'slimdom'

export const parseDom = (text: string): slimdom.Document => slimdom.parseXmlDocument(text)

export const serializeNode = (node: slimdom.Node): string => slimdom.serializeToWellFormedString(node)
