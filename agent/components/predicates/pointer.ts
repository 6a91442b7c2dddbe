// JSON Pointer (RFC 6901).

/** What stands there; `undefined` when nothing does. */
export function at(value: unknown, tokens: readonly string[]): unknown {
  let here = value
  for (const token of tokens) {
    if (typeof here !== 'object' || here === null) return undefined
    if (Array.isArray(here)) here = /^(0|[1-9][0-9]{0,9})$/.test(token) ? here[Number(token)] : undefined
    else here = Object.hasOwn(here, token) ? (here as Record<string, unknown>)[token] : undefined
  }
  return here
}

export function pointerTokens(pointer: string): readonly string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))
}
