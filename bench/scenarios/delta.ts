// Later versions of one large file, from agent to agent through the hub: what of each travels, to the hub and from it, beside
// what rsync sends for the same.
//
// BYTES=1e8 sets the size.

import { copyFileSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { complete } from '../children.ts'
import { bytesToSend, type Content, digestOf, isShortContent, sizeText } from '../content.ts'
import { copiersToMeasure, peersAreShortened } from '../peers/choose.ts'
import { openRsyncDaemon } from '../peers/copiers.ts'
import type { Say, ScenarioResult, Target } from '../report.ts'
import { freshFolder } from '../stage.ts'
import { transferConditions, withTransfer } from '../transfer.ts'
import { firstVersion, insertBytes, replacePlaces, versionsText } from '../versions.ts'

const WANTED_PERCENT_MAX = 3
/** A size of 1 GB is what the target speaks of. */
const BYTES = 1e9
/** On the disk at once: the file and its next version, the hub's copy, three at the receiver, and some for the rest. */
const COPIES = 7
/** Disk images are cut by their content without being told to. */
const NAME = 'disk.img'
const RSYNC = 'rsync'

/** Of the bytes of a version. */
type Percent = { readonly version: number; readonly sent: number; readonly received: number }

export async function delta(say: Say): Promise<ScenarioResult> {
  const { chosen, missing: reasons } = await copiersToMeasure(say)
  const missing = Object.fromEntries(Object.entries(reasons).filter(([name]) => name === RSYNC))
  const folder = freshFolder('source')
  try {
    const bytes = bytesToSend('delta', folder.dir, { alone: BYTES, inAll: BYTES, copies: COPIES })
    const path = join(folder.dir, NAME)
    const ours = await measureOurs(path, { bytes, say })
    rmSync(path)
    const isMeasured = chosen.some(({ name }) => name === RSYNC) && missing[RSYNC] === undefined
    const theirs = isMeasured ? await measureRsync(path, { bytes, say }) : []
    return {
      scenario: 'delta',
      unit: '% of the file',
      better: 'less',
      params: {
        processes: transferConditions.processes,
        file: `${sizeText(bytes)}, random content (BYTES= sets it); ${versionsText}`,
        counted:
          'on the hub\'s sockets, frames, names of chunks and messages included; "one leg" is the greater of both',
        digest: 'the SHA-256 of every version received is compared with its source',
      },
      ours: Object.fromEntries(ours.flatMap(measuresOf)),
      peers: isMeasured ? { [RSYNC]: Object.fromEntries(theirs) } : {},
      missing,
      conditions: isMeasured
        ? {
            [RSYNC]:
              'rsync --no-whole-file to a loopback daemon that has the version before; sent and received, by --stats',
          }
        : {},
      targets: [
        most('delta-sent-percent', Math.max(...ours.map(({ sent }) => sent))),
        most('delta-received-percent', Math.max(...ours.map(({ received }) => received))),
      ],
      notes: [],
      shortened: isShortContent({ bytes }) || peersAreShortened,
    }
  } finally {
    folder.remove()
  }
}

const most = (name: string, got: number): Target => ({
  name,
  want: `<= ${WANTED_PERCENT_MAX}`,
  got,
  ok: got <= WANTED_PERCENT_MAX,
})

const measuresOf = ({ version, sent, received }: Percent): [string, number][] => [
  [`version ${version}, one leg`, Math.max(sent, received)],
  [`version ${version}, to the hub`, sent],
  [`version ${version}, from the hub`, received],
]

async function measureOurs(path: string, { bytes, say }: { bytes: number; say: Say }): Promise<Percent[]> {
  say(`making a file of ${sizeText(bytes)} …`)
  const first = await firstVersion(path, bytes)
  return await withTransfer(first, async (transfer) => {
    const percents: Percent[] = []
    let source = first
    for (let version = 1; version <= 3; version++) {
      if (version > 1) {
        source = version === 2 ? await replacePlaces(source) : await insertBytes(source)
        await transfer.again()
      }
      const before = await transfer.onWire()
      transfer.begin()
      await transfer.end()
      const after = await transfer.onWire()
      await checkCopy(source, (transfer.answersOf('receiver').at(-1) as { path: string }).path)
      const percent = (bytes: number) => (100 * bytes) / source.bytes
      const sent = percent(after.bytesIn - before.bytesIn)
      const received = percent(after.bytesOut - before.bytesOut)
      say(`version ${version}: ${sent.toFixed(2)} % to the hub, ${received.toFixed(2)} % from it`)
      if (version > 1) percents.push({ version, sent, received })
    }
    return percents
  })
}

/** By the measure they share with ours. */
async function measureRsync(path: string, { bytes, say }: { bytes: number; say: Say }): Promise<[string, number][]> {
  const folder = freshFolder(RSYNC)
  try {
    const daemon = await openRsyncDaemon(folder.dir)
    try {
      let source = await firstVersion(path, bytes)
      copyFileSync(path, join(daemon.into, basename(path)))
      const measures: [string, number][] = []
      for (const [i, next] of [replacePlaces, insertBytes].entries()) {
        source = await next(source)
        const said = await complete('rsync', ['--no-whole-file', '--ignore-times', '--stats', path, daemon.url])
        await checkCopy(source, join(daemon.into, basename(path)))
        const percent = (100 * (statOf(said, 'sent') + statOf(said, 'received'))) / source.bytes
        say(`rsync, version ${i + 2}: ${percent.toFixed(2)} %`)
        measures.push([`version ${i + 2}, one leg`, percent])
      }
      return measures
    } finally {
      await daemon.close()
    }
  } finally {
    folder.remove()
  }
}

function statOf(said: string, what: 'sent' | 'received'): number {
  const digits = new RegExp(`Total bytes ${what}: ([\\d,.]+)`).exec(said)?.[1]?.replaceAll(/[,.]/g, '')
  if (digits === undefined) throw new Error(`rsync does not say how many bytes it ${what}: ${said.trim()}`)
  return Number(digits)
}

async function checkCopy(source: Content, path: string): Promise<void> {
  if ((await digestOf(path)) !== source.sha256) throw new Error(`${path} differs from its source`)
}
