// Paths over the flat tree: loops over number arrays, each step calling the next. A path is compiled together with what is to be done
// with each node it finds (`found`; true ends the search), so that nothing is allocated while it runs.

import type { Expr, NodeTest, Path, Step } from '../xpath/ast.ts'
import { beyond, type Found, type Scene } from './scene.ts'

export type PathContext = {
  readonly scene: Scene
  readonly uriOf: (prefix: string) => string
  /** Whether a predicate of a step holds for a node. */
  readonly predicate: (expr: Expr) => (node: number) => boolean
}

/** What is known of a path without a document. */
export type PathKind = {
  readonly attributes: boolean
  /** No node is found twice. */
  readonly distinct: boolean
}

type Run = (node: number) => boolean

export function kindOf({ steps }: Path): PathKind {
  const wide = steps.filter(({ axis }) => axis === 'descendant' || axis === 'descendant-or-self').length
  const back = steps.some(({ axis }) => axis === 'parent')
  return {
    attributes: steps.findLast(({ axis }) => axis !== 'self')?.axis === 'attribute',
    distinct: wide < 2 && !back,
  }
}

/** A function that searches from a context node; gives true when `found` did. */
export function compilePath(path: Path, context: PathContext, found: Found): Run {
  const steps = path.steps.filter((step) => !isSelf(step))
  const run = compileSteps(steps, context, found)
  return path.absolute ? () => run(0) : run
}

function isSelf({ axis, test, predicates }: Step): boolean {
  return axis === 'self' && test.kind === 'node' && predicates.length === 0
}

const isAnywhere = ({ axis, test, predicates }: Step): boolean =>
  axis === 'descendant-or-self' && test.kind === 'node' && predicates.length === 0

function compileSteps(steps: readonly Step[], context: PathContext, found: Found): Run {
  const [step, ...rest] = steps
  if (step === undefined) return found
  if (isAnywhere(step)) return anywhere(rest, context, found)
  if (step.axis === 'attribute' && rest.length > 0) beyond('steps from attributes')
  const next = compileSteps(rest, context, found)
  switch (step.axis) {
    case 'child':
      return step.test.kind === 'text' ? texts(step, context, next) : children(step, context, next)
    case 'descendant':
      return descendants(step, context, next)
    case 'attribute':
      return attributes(step, context, next)
    case 'parent':
      return parent(step, context, next)
    default:
      return beyond(`axis ${step.axis}`)
  }
}

/** `//x` is every `x` below, unless its position among its siblings counts. */
function anywhere(rest: readonly Step[], context: PathContext, found: Found): Run {
  const [step, ...others] = rest
  const { scene } = context
  if (step?.axis === 'child' && step.test.kind === 'name' && !step.predicates.some((each) => each.kind === 'number')) {
    return descendants(step, context, compileSteps(others, context, found))
  }
  if (step === undefined || (step.axis !== 'child' && step.axis !== 'attribute')) beyond('// before such a step')
  const next = compileSteps(rest, context, found)
  return (node) => {
    const { tree } = scene
    const end = tree.end[node] as number
    for (let i = node; i < end; i += 1) if (((tree.name[i] as number) >= 0 || i === 0) && next(i)) return true
    return false
  }
}

function children(step: Step, context: PathContext, next: Run): Run {
  const { scene } = context
  const matches = predicatesOf(step, context)
  const name = nameOf(step.test, context)
  if (name >= 0 && matches === null) {
    return (node) => {
      const { tree } = scene
      const end = tree.end[node] as number
      for (let i = node + 1; i < end; i = tree.end[i] as number) {
        if ((tree.name[i] as number) === name && next(i)) return true
      }
      return false
    }
  }
  const named = namer(step.test, context)
  return (node) => {
    const { tree } = scene
    const end = tree.end[node] as number
    matches?.start()
    for (let i = node + 1; i < end; i = tree.end[i] as number) {
      if (named(tree.name[i] as number) && (matches === null || matches.all(i)) && next(i)) return true
    }
    return false
  }
}

function descendants(step: Step, context: PathContext, next: Run): Run {
  const { scene } = context
  if (step.predicates.some((each) => each.kind === 'number')) beyond('positions among descendants')
  const matches = predicatesOf(step, context)
  const named = namer(step.test, context)
  return (node) => {
    const { tree } = scene
    const end = tree.end[node] as number
    for (let i = node + 1; i < end; i += 1) {
      if (named(tree.name[i] as number) && (matches === null || matches.all(i)) && next(i)) return true
    }
    return false
  }
}

/**
 * Text nodes of XPath reach over the borders of CDATA sections, but not over comments; in the tree both cut. So texts next to each
 * other, and empty ones, are left to the general way.
 */
function texts(step: Step, { scene }: PathContext, next: Run): Run {
  if (step.predicates.length > 0) beyond('conditions on text()')
  return (node) => {
    const { tree } = scene
    const end = tree.end[node] as number
    for (let i = node + 1; i < end; i = tree.end[i] as number) {
      if ((tree.name[i] as number) >= 0) continue
      const joined =
        (i + 1 < end && (tree.name[i + 1] as number) < 0) ||
        (i - 1 > node && (tree.name[i - 1] as number) < 0 && tree.parent[i - 1] === node)
      if (joined || tree.textOf(i) === '') scene.unsure = true
      if (next(i)) return true
    }
    return false
  }
}

function attributes(step: Step, context: PathContext, next: Run): Run {
  const { scene } = context
  if (step.predicates.length > 0) beyond('conditions on attributes')
  const name = nameOf(step.test, context)
  const named = namer(step.test, context)
  return (node) => {
    const { tree } = scene
    // Neither the document node nor texts have any.
    if ((tree.name[node] as number) < 0) return false
    const end = tree.attributes[node + 1] as number
    for (let i = tree.attributes[node] as number; i < end; i += 1) {
      const own = tree.attributeName[i] as number
      if ((name >= 0 ? own === name : named(own)) && next(i)) return true
    }
    return false
  }
}

function parent(step: Step, { scene }: PathContext, next: Run): Run {
  if (step.test.kind !== 'node' || step.predicates.length > 0) beyond('conditions on the parent')
  return (node) => node > 0 && next(scene.tree.parent[node] as number)
}

/** The number of a full name, or -1. */
function nameOf(test: NodeTest, { scene, uriOf }: PathContext): number {
  if (test.kind !== 'name' || test.local === '*') return -1
  return scene.names.ask(test.prefix === null ? '' : uriOf(test.prefix), test.local)
}

function namer(test: NodeTest, context: PathContext): (name: number) => boolean {
  if (test.kind !== 'name') return beyond(`${test.kind}()`)
  const wanted = nameOf(test, context)
  if (wanted >= 0) return (name) => name === wanted
  if (test.prefix === null) return (name) => name >= 0
  const uri = context.uriOf(test.prefix)
  const { names } = context.scene
  return (name) => name >= 0 && names.uri[name] === uri
}

/** Predicates narrow one after the other; a number counts those that are left by the ones before it. */
type Predicates = { start(): void; all(node: number): boolean }

function predicatesOf(step: Step, context: PathContext): Predicates | null {
  if (step.predicates.length === 0) return null
  const tests = step.predicates.map((each) =>
    each.kind === 'number' ? { position: each.value, holds: null } : { position: 0, holds: context.predicate(each) },
  )
  const counts = new Float64Array(tests.length)
  return {
    start: () => void counts.fill(0),
    all(node) {
      for (let i = 0; i < tests.length; i += 1) {
        const { position, holds } = tests[i] as (typeof tests)[number]
        if (holds !== null) {
          if (!holds(node)) return false
          continue
        }
        const count = (counts[i] as number) + 1
        counts[i] = count
        if (count !== position) return false
      }
      return true
    },
  }
}
