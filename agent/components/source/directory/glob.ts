// Names of files by pattern: `*`, `?`, `[a-z]`, `[!a]`, `{csv,txt}`. One folder only, so there is no `/` and no `**`.

/** Why the pattern cannot be used, or `null`. */
export function globProblem(pattern: string): string | null {
  if (/[/\\]/.test(pattern)) return 'a pattern names files in this folder only: no / and no \\'
  if (count(pattern, '{') !== count(pattern, '}') || /\{[^}]*\{/.test(pattern)) return 'braces { } do not match'
  if (/\[[^\]]*$/.test(pattern)) return 'a bracket [ is not closed'
  // Each star multiplies the work of a mismatch.
  if (count(pattern, '*') > 8) return 'more than eight stars'
  try {
    compileGlob(pattern)
    return null
  } catch (error) {
    return (error as Error).message
  }
}

/** The pattern as a test of names; names that start with a dot never match. */
export function compileGlob(pattern: string): (name: string) => boolean {
  let source = ''
  let inBraces = false
  for (let i = 0; i < pattern.length; i += 1) {
    const char = pattern[i] as string
    if (char === '*') source += pattern[i - 1] === '*' ? '' : '.*'
    else if (char === '?') source += '.'
    else if (char === '{') source += '(?:'
    else if (char === '}') source += ')'
    else if (char === ',' && inBraces) source += '|'
    else if (char === '[') {
      const end = pattern.indexOf(']', i + 2)
      const set = pattern.slice(i + 1, end).replace(/[\]\\^&~|[]/g, '\\$&')
      source += set.startsWith('!') ? `[^${set.slice(1)}]` : `[${set}]`
      i = end
    } else source += char.replace(/[.*+?^${}()|[\]\\-]/g, '\\$&')
    inBraces = char === '{' || (inBraces && char !== '}')
  }
  const expression = new RegExp(`^${source}$`, 'su')
  return (name) => !name.startsWith('.') && expression.test(name)
}

function count(text: string, char: string): number {
  return text.split(char).length - 1
}
