// Constructs the house style forbids, found in the syntax tree, so that a comment or a string cannot trip them.

import { type Node, Visitor, type VisitorObject } from 'oxc-parser'
import {
  type Finding,
  type House,
  isGenerated,
  isGenerator,
  isShipped,
  isTest,
  type Module,
  type Rule,
} from './house.ts'

type Report = (node: { start: number }, what: string, mend: string) => void

/** Commands talk to a person; everything else logs through telemetry. */
const isCommand = (path: string): boolean =>
  /(^|\/)(main|cli|commands)\.ts$|\/(cli|commands)\//.test(path) || isGenerator(path)

/** The one reader of clocks in protocol/: the Clock it hands to everybody else. */
const SYSTEM_CLOCK = 'protocol/base/mod.ts'

const CLOCKS: ReadonlySet<string> = new Set(['Date.now', 'Math.random', 'performance.now', 'process.hrtime'])
const TIMERS: ReadonlySet<string> = new Set(['setTimeout', 'setInterval', 'setImmediate'])
const TEST_OBJECTS: ReadonlySet<string> = new Set(['t', 'tap', 'test', 'describe', 'it'])

export const constructRules: readonly Rule[] = [
  rule('no enum, namespace or parameter property', (_module, report) => ({
    TSEnumDeclaration: (node) => report(node, 'enum', 'Use constants, or `{…} as const` with a derived union'),
    TSModuleDeclaration: (node) => {
      if (node.kind === 'namespace') report(node, 'namespace', 'A module is a namespace already: export from it')
    },
    TSParameterProperty: (node) => report(node, 'parameter property', 'Declare the field and assign it'),
  })),
  rule('no `as any`', (_module, report) => ({
    TSAsExpression: (node) => {
      if (node.typeAnnotation.type === 'TSAnyKeyword') report(node, '`as any`', 'Parse the value, or narrow `unknown`')
    },
    TSTypeAssertion: (node) => {
      if (node.typeAnnotation.type === 'TSAnyKeyword') report(node, '`<any>`', 'Parse the value, or narrow `unknown`')
    },
  })),
  { name: 'no @ts-ignore or @ts-nocheck', find: findSilencedChecks },
  rule('no swallowed error', (module, report) => {
    const mend = 'Handle it, or say in a comment there why nothing is to be done'
    return {
      CatchClause: (node) => {
        if (node.body.body.length === 0 && !explained(module, node)) report(node, 'empty catch', mend)
      },
      CallExpression: (node) => {
        const [handler] = node.arguments
        if (calledName(node.callee)?.endsWith('.catch') !== true || handler === undefined) return
        if (isEmptyFunction(handler) && !explained(module, handler)) report(handler, 'empty catch handler', mend)
      },
    }
  }),
  rule('no test is skipped or alone without a reason', (module, report) => {
    if (!isTest(module.path)) return {}
    return {
      CallExpression: (node) => {
        const name = calledName(node.callee) ?? ''
        const [object = '', method = ''] = [name.split('.')[0], name.split('.').at(-1)]
        if (!TEST_OBJECTS.has(object)) return
        if (method === 'only') report(node, `${name}()`, 'Remove it: `make test ONLY=` runs a part')
        if (method === 'skip') report(node, `${name}()`, "Give the reason: `t.test(name, { skip: 'why' }, …)`")
        for (const argument of node.arguments) {
          if (argument.type !== 'ObjectExpression') continue
          for (const property of argument.properties) {
            if (property.type !== 'Property' || property.value.type !== 'Literal' || property.value.value !== true)
              continue
            const key = property.key.type === 'Identifier' ? property.key.name : ''
            if (key === 'skip' || key === 'todo') report(property, `${key}: true`, 'Give the reason as a text')
            if (key === 'only') report(property, 'only: true', 'Remove it: `make test ONLY=` runs a part')
          }
        }
      },
    }
  }),
  rule('limits are finite', (module, report) => {
    if (!/(^|\/)limits\.ts$/.test(module.path)) return {}
    const mend = 'Work out a bound and write its arithmetic down'
    return {
      Identifier: (node) => {
        if (/^(Infinity|POSITIVE_INFINITY|MAX_VALUE)$/.test(node.name)) report(node, node.name, mend)
      },
    }
  }),
  rule('the console belongs to commands', (module, report) => {
    if (!isShipped(module.path) || isCommand(module.path)) return {}
    return {
      MemberExpression: (node) => {
        if (node.object.type !== 'Identifier' || node.object.name !== 'console') return
        report(node, 'console', 'Log through telemetry, or return what the command shall print')
      },
    }
  }),
  rule('protocol reads no clock and draws no chance', (module, report) => {
    if (!module.path.startsWith('protocol/') || !isShipped(module.path) || module.path === SYSTEM_CLOCK) return {}
    const mend = 'Take it as an argument: `receive(nowMs, bytes)`'
    return {
      MemberExpression: (node) => {
        const name = calledName(node) ?? ''
        if (CLOCKS.has(name)) report(node, name, mend)
      },
      NewExpression: (node) => {
        if (calledName(node.callee) === 'Date' && node.arguments.length === 0) report(node, 'new Date()', mend)
      },
      CallExpression: (node) => {
        const name = calledName(node.callee) ?? ''
        if (TIMERS.has(name)) report(node, name, 'Tell the caller when to call again: it owns the timer')
      },
    }
  }),
]

function rule(name: string, visitor: (module: Module, report: Report) => VisitorObject): Rule {
  const find = (house: House): Finding[] => {
    const findings: Finding[] = []
    for (const module of house.modules.values()) {
      if (isGenerated(module.path)) continue
      const report: Report = (node, what, mend) => {
        findings.push({ where: `${module.path}:${module.lineAt(node.start)}`, what, mend })
      }
      new Visitor(visitor(module, report)).visit(module.program)
    }
    return findings
  }
  return { name, find }
}

/** `t.test.only` for a chain of plain names, null for anything else. */
function calledName(node: Node): string | null {
  if (node.type === 'Identifier') return node.name
  if (node.type === 'ChainExpression') return calledName(node.expression)
  if (node.type !== 'MemberExpression' || node.computed || node.property.type !== 'Identifier') return null
  // What a call returns has no name, but what is called on it has: `open().catch`.
  return `${calledName(node.object) ?? '()'}.${node.property.name}`
}

function isEmptyFunction(node: Node): boolean {
  if (node.type !== 'ArrowFunctionExpression' && node.type !== 'FunctionExpression') return false
  const { body } = node
  if (body === null) return false
  if (body.type === 'BlockStatement') return body.body.length === 0
  return (body.type === 'Identifier' && body.name === 'undefined') || (body.type === 'Literal' && body.value === null)
}

/** A comment on one of its lines or on the line above. */
function explained(module: Module, { start, end }: { start: number; end: number }): boolean {
  const first = module.lineAt(start) - 1
  const last = module.lineAt(end)
  return module.comments.some((comment) => {
    const line = module.lineAt(comment.start)
    return line >= first && line <= last
  })
}

function findSilencedChecks(house: House): Finding[] {
  const findings: Finding[] = []
  for (const module of house.modules.values()) {
    for (const { value, start } of module.comments) {
      const [silencer] = /@ts-(ignore|nocheck)\b/.exec(value) ?? []
      if (silencer === undefined) continue
      const mend = 'Mend the type; where a test needs a wrong one, use @ts-expect-error with the reason'
      findings.push({ where: `${module.path}:${module.lineAt(start)}`, what: silencer, mend })
    }
  }
  return findings
}
