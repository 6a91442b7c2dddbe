// The page behind an upload link. It loads nothing from elsewhere, and its script is a file of its own, so that its policy
// allows no script that anybody writes into it.

import { readFileSync } from 'node:fs'

export type Language = 'en' | 'zh-CN'

const TEXTS = {
  en: {
    title: 'Upload a file',
    choose:
      'Choose a file. If the connection breaks, the upload goes on where it was; you may also pause it, or open this page again later and choose the same file.',
    start: 'Upload',
    pause: 'Pause',
    resume: 'Go on',
    cancel: 'Cancel',
    done: 'Done. The file has arrived.',
    paused: 'Paused.',
    broken: 'no connection',
    waiting: 'Interrupted; trying again …',
    refused: 'The hub does not take the file.',
    known: 'A part of this file is there already: go on.',
    cancelled: 'Cancelled.',
    noscript: 'This page needs JavaScript.',
  },
  'zh-CN': {
    title: '上传文件',
    choose: '请选择文件。连接中断后会从断点继续；也可以暂停，或稍后重新打开本页并选择同一个文件。',
    start: '上传',
    pause: '暂停',
    resume: '继续',
    cancel: '取消',
    done: '完成，文件已送达。',
    paused: '已暂停。',
    broken: '无连接',
    waiting: '已中断，正在重试……',
    refused: '系统未接受该文件。',
    known: '该文件已有一部分上传，可以继续。',
    cancelled: '已取消。',
    noscript: '本页需要 JavaScript。',
  },
} as const

export const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const read = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8')

/** By path: what the page loads. */
export const ASSETS: ReadonlyMap<string, { readonly type: string; readonly body: string }> = new Map([
  ['/assets/upload.js', { type: 'text/javascript; charset=utf-8', body: read('./upload.js') }],
  ['/assets/upload.css', { type: 'text/css; charset=utf-8', body: read('./upload.css') }],
])

export function uploadPage(language: Language): string {
  const texts = TEXTS[language]
  const data = Object.entries(texts).map(([name, text]) => `data-${name}="${escaped(text)}"`)
  return `<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${escaped(texts.title)}</title>
<link rel="stylesheet" href="/assets/upload.css">
<script type="module" src="/assets/upload.js"></script>
</head>
<body ${data.join(' ')}>
<h1>${escaped(texts.title)}</h1>
<p><label for="file">${escaped(texts.choose)}</label></p>
<p><input type="file" id="file"></p>
<p><progress id="bar" value="0" max="1" aria-labelledby="state"></progress></p>
<p id="state" role="status"></p>
<p><button type="button" id="toggle" hidden>${escaped(texts.start)}</button>
<button type="button" id="cancel" hidden>${escaped(texts.cancel)}</button></p>
<noscript>${escaped(texts.noscript)}</noscript>
</body>
</html>
`
}

/** The one of ours that the browser likes best: RFC 9110, section 12.5.4. */
export function languageOf(accepted: string | undefined): Language {
  let best: Language = 'en'
  let bestQuality = 0
  for (const part of (accepted ?? '').slice(0, 1000).split(',')) {
    const [tag = '', ...parameters] = part.trim().toLowerCase().split(';')
    const language = /^zh\b/.test(tag) ? 'zh-CN' : /^en\b/.test(tag) ? 'en' : null
    const weight = parameters.map((text) => /^\s*q=([\d.]+)\s*$/.exec(text)?.[1]).find((text) => text !== undefined)
    const quality = weight === undefined ? 1 : Number(weight)
    if (language === null || !(quality > bestQuality)) continue
    best = language
    bestQuality = quality
  }
  return best
}

const escaped = (text: string): string => text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
