// The rules of the running hub: deployed, listed, gone back from, and asked about a message.

import { userInfo } from 'node:os'
import { join } from 'node:path'
import { bringFiles, type RoutesView, type RulesVersion } from '#hub/router/mod.ts'
import type { Explanation } from '#hub/router/rules/mod.ts'
import { Fault } from '#protocol/base/mod.ts'
import { command, EXIT_FAILED, EXIT_OK, f, faultsText } from '#protocol/fields/mod.ts'
import type { AdminRequest } from '../admin.ts'
import { askHub, HubFaults } from '../contact.ts'
import { managementFault } from '../faults.ts'
import type { RoutesRefused, VersionForgotten } from '../operator.ts'
import { age, count, grid, labelled, messages, printable, time } from '../show.ts'
import { sampleFrom, sampleSettings } from './route.ts'
import { explanationLines } from './route-show.ts'
import { ask, data, json, misused } from './settings.ts'

const by = f.text({
  doc: 'who deploys it; left out: the user of this machine who runs the command',
  maxLength: 200,
  optional: true,
})
const version = f.integer({ doc: 'number, as route history shows it', min: 1, max: Number.MAX_SAFE_INTEGER })
const note = f.text({ doc: 'why, for the history', minLength: 0, maxLength: 1_000, default: '' })

export const routeDeploy = command({
  summary: 'make a rule file the rules of the running hub, with what lies beside it',
  positionals: ['file'],
  spec: f.object({ file: f.text({ doc: 'rule file, in a folder of its own' }), by, note, data, json }),
  run: async (settings) => {
    const { brought, file } = await bringFiles(join(settings.data, 'routes'), settings.file)
    return deployed(settings, { command: 'deploy', brought, file, by: settings.by ?? whoIs(), note: settings.note })
  },
})

export const routeRollback = command({
  summary: 'go back to an earlier version of the rules: it becomes a new one',
  positionals: ['version'],
  spec: f.object({
    version,
    by,
    note,
    data,
    json,
  }),
  run: (settings) => {
    const { version, note } = settings
    return deployed(settings, { command: 'rollback', version, by: settings.by ?? whoIs(), note })
  },
})

export const routeForget = command({
  summary: 'have the rules in force decide what waits for a version that cannot be read',
  positionals: ['version'],
  spec: f.object({ version, data, json }),
  run: (settings) =>
    ask<VersionForgotten>(settings, { command: 'forget-version', version: settings.version }, ({ version }) => [
      `Version ${version} is forgotten: the rules in force decide what came in under it.`,
    ]),
})

export const routeHistory = command({
  summary: 'list the versions of the rules, and say which counts',
  spec: f.object({ data, json }),
  run: (settings) =>
    ask<RoutesView>(settings, { command: 'routes' }, (view) => {
      const { current, versions, unreadable, waiting, conveyed, pipelines } = view
      if (current === null) return ['No rules are deployed: causeway-hub route deploy FILE.']
      const rows = versions.toReversed().map((one) => {
        const mark = one.version === current.version ? '*' : ''
        return [`${one.version}${mark}`, time(one.atMs), count(one.rules), printable(one.by), printable(one.note)]
      })
      const nowMs = Date.now()
      return [
        `Version ${current.version} counts, since ${age(nowMs - current.atMs)}: ${count(current.rules)} rules.`,
        ...labelled('waiting', `${messages(waiting)} to be routed by content or through pipelines`),
        ...labelled('routed', `${messages(conveyed)} so, since the hub started`),
        ...labelled('pipelines', pipelines.map(labelOf).join(', ') || 'none'),
        ...unreadable.flatMap(({ version, code, message, remedy }) =>
          labelled('HELD UP', `by version ${version}: ${code}: ${message}. ${remedy}.`),
        ),
        '',
        ...grid(
          [
            { title: 'VERSION', right: true },
            { title: 'DEPLOYED' },
            { title: 'RULES', right: true },
            { title: 'BY' },
            { title: 'NOTE' },
          ],
          rows,
        ),
      ]
    }),
})

export const routeDryRun = command({
  summary: 'tell where the running hub would send a message, and why; nothing is sent',
  spec: f.object({ ...sampleSettings, data, json }),
  run: async (settings) => {
    if ((settings.message === undefined) === (settings.topic === undefined)) {
      return misused(managementFault('ROUTE_MESSAGE_UNNAMED'), settings)
    }
    const read = await sampleFrom(settings)
    if (!read.ok) {
      console.error(faultsText(read.fault, settings))
      return EXIT_FAILED
    }
    const { envelope, body, contentType, key } = read.value
    const sample = {
      topic: envelope.topic,
      headers: envelope.headers,
      ...(key.length === 0 ? {} : { key: key.toString() }),
      ...(contentType === '' ? {} : { contentType }),
      ...(body === null ? {} : { base64: body.toString('base64') }),
    }
    const rule = settings.rule === undefined ? {} : { rule: settings.rule }
    return ask<Explanation>(settings, { command: 'explain', sample, ...rule }, explanationLines)
  },
})

async function deployed(
  settings: { readonly data: string; readonly json: boolean },
  request: AdminRequest,
): Promise<number> {
  try {
    const answer = await askHub<RulesVersion | RoutesRefused>(settings.data, request)
    if ('refused' in answer) {
      console.error(faultsText(answer.refused.map(faultOf), settings))
      return EXIT_FAILED
    }
    const { version, rules } = answer
    console.log(
      settings.json ? JSON.stringify(answer) : `Version ${version} with ${count(rules)} rules counts from now on.`,
    )
    return EXIT_OK
  } catch (error) {
    if (!(error instanceof HubFaults)) throw error
    console.error(faultsText(error.faults, settings))
    return EXIT_FAILED
  }
}

/** As it came over the wire. */
function faultOf(told: Fault): Fault {
  const { code, message, remedy, where } = told
  return new Fault(code, { meaning: message, remedy }, where === null ? {} : { where })
}

/** A pipeline's name without what tells its steps from others. */
const labelOf = (name: string): string => name.slice(0, Math.max(0, name.lastIndexOf('#')))

function whoIs(): string {
  try {
    return userInfo().username
  } catch {
    // A user without a name in this system.
    return String(process.getuid?.() ?? '')
  }
}
