// Paths into XML that settings name: `/list/item` for records, `name`, `info/name`, `@id`, `info/@id` and `.` for their values. Names
// may have a prefix of the setting `namespaces`; without one they fit in any namespace when reading.

import { isLocalName, type XmlTree } from '../../xml/mod.ts'
import { PATH_STEPS_MAX } from './limits.ts'

export type NameTest = { readonly raw: string; readonly local: string; readonly uri: string | null }
export type ValuePath = { readonly steps: readonly NameTest[]; readonly attribute: NameTest | null }
export type Namespaces = Readonly<Record<string, string>>

const isName = (text: string): boolean => {
  const parts = text.split(':')
  return parts.length <= 2 && parts.every(isLocalName)
}

export function recordPathProblem(path: string): string | null {
  if (!path.startsWith('/')) return 'it starts with / and the name of the root element'
  return stepsProblem(path.slice(1).split('/'))
}

export function valuePathProblem(path: string): string | null {
  if (path === '.') return null
  const steps = path.split('/')
  const last = steps.pop() ?? ''
  return stepsProblem([...steps, last.startsWith('@') ? last.slice(1) : last])
}

function stepsProblem(steps: readonly string[]): string | null {
  if (steps.length > PATH_STEPS_MAX) return `it has more than ${PATH_STEPS_MAX} steps`
  const wrong = steps.find((step) => !isName(step))
  return wrong === undefined ? null : `${JSON.stringify(wrong)} is no name of an element or attribute`
}

/** Prefixes of these paths that `namespaces` does not have. */
export function unknownPrefix(paths: readonly string[], namespaces: Namespaces): string | null {
  const names = paths.flatMap((path) => path.split('/')).map((step) => step.replace(/^@/, ''))
  const prefixes = names.flatMap((name) => (name.includes(':') ? [name.split(':')[0] as string] : []))
  return prefixes.find((prefix) => prefix !== 'xml' && !Object.hasOwn(namespaces, prefix)) ?? null
}

export function pathsProblem(settings: {
  readonly path?: string | undefined
  readonly fields?: Readonly<Record<string, string>> | undefined
  readonly namespaces: Namespaces
}): string | null {
  const { path, fields, namespaces } = settings
  if (fields !== undefined && path === undefined) return '`fields` go with a `path`'
  const unknown = unknownPrefix([path ?? '', ...Object.values(fields ?? {})], namespaces)
  return unknown === null ? null : `\`namespaces\` does not have the prefix ${unknown}`
}

function nameTest(raw: string, namespaces: Namespaces): NameTest {
  const [prefix, local] = raw.includes(':') ? (raw.split(':') as [string, string]) : [null, raw]
  if (prefix === null) return { raw, local, uri: null }
  return { raw, local, uri: prefix === 'xml' ? XML_NAMESPACE : (namespaces[prefix] ?? '') }
}
const XML_NAMESPACE = 'http://www.w3.org/XML/1998/namespace'

export const recordPath = (path: string, namespaces: Namespaces): NameTest[] =>
  path
    .slice(1)
    .split('/')
    .map((step) => nameTest(step, namespaces))

export function valuePath(path: string, namespaces: Namespaces): ValuePath {
  if (path === '.') return { steps: [], attribute: null }
  const steps = path.split('/')
  const last = steps.at(-1) ?? ''
  const isAttribute = last.startsWith('@')
  return {
    steps: (isAttribute ? steps.slice(0, -1) : steps).map((step) => nameTest(step, namespaces)),
    attribute: isAttribute ? nameTest(last.slice(1), namespaces) : null,
  }
}

/** Whether an expanded name is meant. */
export const fits = ({ names }: XmlTree, id: number, { local, uri }: NameTest): boolean =>
  id >= 0 && names.localPart[id] === local && (uri === null || names.uri[id] === uri)

/** The element children of a node. */
export function* elementsIn(tree: XmlTree, node: number): Generator<number> {
  const end = tree.end[node] as number
  for (let child = node + 1; child < end; child = tree.end[child] as number) {
    if ((tree.name[child] as number) >= 0) yield child
  }
}
