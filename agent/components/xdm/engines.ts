// fontoxpath and slimdom are loaded when they are first needed, which may be where nothing can be awaited.

import { createRequire } from 'node:module'

export type Fontoxpath = typeof import('fontoxpath')
export type Slimdom = typeof import('slimdom')

const require = createRequire(import.meta.url)
let loadedFontoxpath: Fontoxpath | null = null
let loadedSlimdom: Slimdom | null = null

export function fontoxpath(): Fontoxpath {
  loadedFontoxpath ??= require('fontoxpath') as Fontoxpath
  return loadedFontoxpath
}

export function slimdom(): Slimdom {
  loadedSlimdom ??= require('slimdom') as Slimdom
  return loadedSlimdom
}
