// Where in a text something is, for people.

/** Line and column, both from 1; columns count characters (code points). */
export function placeIn(text: string, at: number): { readonly line: number; readonly column: number } {
  let line = 1
  let start = 0
  for (let next = text.indexOf('\n'); next >= 0 && next < at; next = text.indexOf('\n', start)) {
    line += 1
    start = next + 1
  }
  let column = 1
  for (let i = start; i < at; i += 1) if ((text.charCodeAt(i) & 0xfc00) !== 0xdc00) column += 1
  return { line, column }
}
