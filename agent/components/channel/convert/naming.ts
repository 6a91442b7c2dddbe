// Names of documents that are made here.

import { hash } from 'node:crypto'
import type { Row } from '../../contract.ts'

/** What stands in `{:…}`, beside the fields of the row. */
export type Given = { readonly row: Row; readonly content: Buffer; readonly rows: number }

export type Naming = (given: Given) => string

/** A field that is missing or null gives nothing. */
export function namingOf(template: string): Naming {
  const parts = template.split(/\{([^{}]+)\}/)
  return (given) => parts.map((part, i) => (i % 2 === 0 ? part : filledIn(part, given))).join('')
}

function filledIn(name: string, { row, content, rows }: Given): string {
  switch (name) {
    case ':stem':
      return stemOf(row.name)
    case ':digest':
      return hash('sha256', content, 'hex').slice(0, 16)
    case ':rows':
      return String(rows)
    default: {
      const value = Object.hasOwn(row, name) ? row[name] : null
      return value === null || value === undefined ? '' : String(value)
    }
  }
}

/** `a/b.tar.gz` → `a/b.tar`; a name of nothing but an ending is one. */
function stemOf(name: unknown): string {
  if (typeof name !== 'string') return ''
  const slash = name.lastIndexOf('/')
  const dot = name.lastIndexOf('.')
  return dot > slash + 1 ? name.slice(0, dot) : name
}

/** Why a template cannot be used, or `null`. */
export function templateProblem(template: string): string | null {
  const known = [':stem', ':digest', ':rows']
  const unknown = [...template.matchAll(/\{(:[^{}]*)\}/g)].find(([, name = '']) => !known.includes(name))
  return unknown === undefined
    ? null
    : `there is no ${unknown[0]}: known are {:stem}, {:digest}, {:rows} and fields of the row`
}
