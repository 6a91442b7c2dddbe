// causeway-agent mapping xslt, mapping import: a mapping as a stylesheet, and a stylesheet as a mapping.

import { readFile, stat } from 'node:fs/promises'
import { stringify } from 'yaml'
import { loadMapping, writeMapping } from '#agent/components/channel/mapping/mod.ts'
import { generateXslt, importXslt, treeReader } from '#agent/components/channel/mapping/xslt/mod.ts'
import { xsltFault } from '#agent/components/channel/xslt/mod.ts'
import { decodeXml } from '#agent/components/xml/mod.ts'
import { Fault, faultIn } from '#protocol/base/mod.ts'
import { command, EXIT_FAILED, EXIT_OK, f, faultsText, TEXT_BYTES_MAX } from '#protocol/fields/mod.ts'
import { json } from './common.ts'

export const mappingXslt = command({
  summary: 'print a mapping as a standard stylesheet (XSLT 1.0)',
  positionals: ['file'],
  spec: f.object({ file: f.text({ doc: 'mapping file (YAML)', maxLength: 4096 }), json }),
  run: ({ file, json }) =>
    printed(file, json, async () => {
      const xslt = generateXslt(await loadMapping(file))
      return { text: xslt, machine: { file, xslt } }
    }),
})

export const mappingImport = command({
  summary: 'print a stylesheet as a mapping, or why it is none',
  positionals: ['file'],
  spec: f.object({ file: f.text({ doc: 'stylesheet (XSLT)', maxLength: 4096 }), json }),
  run: ({ file, json }) =>
    printed(file, json, async () => {
      const imported = importXslt(decodeXml(await stylesheetAt(file)), await treeReader())
      if (!imported.ok) {
        const line = imported.line === null ? {} : { line: imported.line }
        const where = imported.line === null ? file : `${file}:${imported.line}`
        throw xsltFault('XSLT_NO_MAPPING', { where, why: imported.why, ...line })
      }
      const mapping = writeMapping(imported.mapping)
      return { text: stringify(mapping), machine: { file, mapping } }
    }),
})

async function stylesheetAt(file: string): Promise<Buffer> {
  try {
    const { size } = await stat(file)
    if (size > TEXT_BYTES_MAX)
      throw xsltFault('XSLT_STYLESHEET_INVALID', { where: file, why: `${size} bytes`, limitBytes: TEXT_BYTES_MAX })
    return await readFile(file)
  } catch (cause) {
    if (cause instanceof Fault) throw cause
    throw xsltFault('XSLT_STYLESHEET_UNREADABLE', { where: file, cause, todo: 'Check the name of the file' })
  }
}

async function printed(
  file: string,
  asJson: boolean,
  make: () => Promise<{ readonly text: string; readonly machine: object }>,
): Promise<number> {
  try {
    const { text, machine } = await make()
    if (asJson) console.log(JSON.stringify(machine))
    else process.stdout.write(text)
    return EXIT_OK
  } catch (error) {
    console.error(faultsText([faultIn(file, error)], { json: asJson }))
    return EXIT_FAILED
  }
}
