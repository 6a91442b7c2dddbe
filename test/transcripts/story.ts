// Stories: text files of commands and what they print, executed on the simulation. A block is commands, `----`, and the
// expected output up to an empty line; lines with # explain. Time is simulated: every network hop takes 1 ms, the disk none.

export type Block = { readonly comments: readonly string[]; readonly commands: readonly string[]; readonly output: readonly string[] }

const RULE = '----'

/** Cuts a story into its blocks. Throws when one has no rule between commands and output. */
export function parseStory(text: string, file: string): Block[] {
  const blocks: Block[] = []
  const lines = text.split('\n')
  for (let at = 0; at < lines.length; ) {
    const block = { comments: [] as string[], commands: [] as string[], output: [] as string[] }
    const begin = at
    for (; at < lines.length && lines[at] !== RULE; at++) {
      const line = lines[at] as string
      if (line.trim() === '' && block.commands.length === 0) {
        if (block.comments.length > 0) block.comments.push('')
      } else if (line.startsWith('#')) block.comments.push(line)
      else if (line.trim() === '') throw new Error(`${file}:${at + 1}: no ${RULE} after these commands`)
      else block.commands.push(line)
    }
    if (block.commands.length === 0 && at >= lines.length) break
    if (at >= lines.length) throw new Error(`${file}:${begin + 1}: no ${RULE} after these commands`)
    for (at++; at < lines.length && lines[at] !== ''; at++) block.output.push(lines[at] as string)
    at++
    blocks.push(block)
  }
  return blocks
}

/** The story with other output; the comments and commands as they are. */
export function writeStory(blocks: readonly Block[]): string {
  return blocks
    .map(({ comments, commands, output }) => [...comments, ...commands, RULE, ...output, ''].join('\n'))
    .join('\n')
}

export type Command = {
  /** What does it: `hub`, or the name of an agent. */
  readonly who: string
  readonly verb: string
  /** What follows, without settings. */
  readonly words: readonly string[]
  /** `name=value`. */
  readonly settings: ReadonlyMap<string, string>
}

export function parseCommand(line: string): Command {
  const [who = '', verb = '', ...rest] = line.trim().split(/\s+/)
  const words: string[] = []
  const settings = new Map<string, string>()
  for (const word of rest) {
    const [name, value] = word.split('=')
    if (value === undefined || name === undefined) words.push(word)
    else settings.set(name, value)
  }
  return { who, verb, words, settings }
}

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000 }

/** `1.5ms`, `2s`, `5min` as milliseconds. */
export function durationMs(text: string): number {
  const [, number, unit] = /^([\d.]+)(ms|s|min|h)$/.exec(text) ?? []
  const unitMs = UNITS_MS[unit ?? '']
  if (number === undefined || unitMs === undefined) throw new Error(`${JSON.stringify(text)} is no time: 5ms, 2s, 1min, 1h`)
  return Number(number) * unitMs
}
