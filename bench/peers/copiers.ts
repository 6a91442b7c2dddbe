// What the transfer of a large file is measured beside: programs that copy one. Each ends with a flushed file, reads the
// same source and writes on the same disk. Servers are private ones on a free port of 127.0.0.1, with settings, keys and
// files of their own.
//
// Best settings. rsync: its daemon, so that no shell and no cipher is in between; `-W`: nothing is compared. scp: AES-GCM, the
// fastest cipher where the processor has AES; its older protocol (`-O`) was no faster here. cp: no clone of the blocks,
// which would copy nothing.

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { basename, join } from 'node:path'
import { complete, startRole, stop } from '../children.ts'
import { firstMessage } from '../flow.ts'
import type { Server } from './contract.ts'
import { freePort, locate, outputOf, startServer } from './server.ts'

export type Copier = {
  readonly name: string
  readonly conditions: string
  readonly programs: readonly string[]
  /** Why this installation cannot run it; null when it can. */
  readonly reason?: () => Promise<string | null>
  /** Makes ready what copies into a folder of `dir`. */
  open(dir: string): Promise<Copying>
}

export type Copying = {
  /** Resolves with the path of the copy when it is whole and flushed. */
  copy(source: string): Promise<string>
  close(): Promise<void>
}

export const copiers: readonly Copier[] = [
  {
    name: 'rsync',
    conditions:
      'rsync -W --fsync to a loopback daemon: no encryption; flushed by its receiver before it renames the file',
    programs: ['rsync'],
    reason: async () =>
      (await outputOf('rsync', ['--help'])).includes('--fsync') ? null : 'this rsync has no --fsync (3.2.4 has)',
    open: openRsync,
  },
  {
    name: 'scp',
    conditions: 'scp through a loopback sshd, aes128-gcm, then sync -d of the file: encrypted, on one connection',
    programs: ['scp', 'sshd', 'ssh-keygen', 'sync'],
    open: openScp,
  },
  {
    name: 'cp',
    conditions: "cp --reflink=never, then sync -d of the file: the machine's floor, no network and nothing checked",
    programs: ['cp', 'sync'],
    open: openCp,
  },
  {
    name: 'raw',
    conditions:
      'the ceiling of two hops in this runtime: three bare Node processes, file, socket, file and socket, file; each block read ' +
      'once into the memory it is written and sent from; flushed; nothing is checked',
    programs: [],
    open: (dir) => openRaw(dir, false),
  },
  {
    name: 'raw-sha256',
    conditions: 'the same with one SHA-256 in each process, in a thread of its own',
    programs: [],
    open: (dir) => openRaw(dir, true),
  },
]

/** Why it cannot be measured here; null when it can. */
export async function copierReason({ programs, reason }: Copier): Promise<string | null> {
  const absent = programs.filter((program) => locate(program) === null)
  if (absent.length > 0) return `${absent.join(', ')} is not installed: run bench/peers/install as root`
  return (await reason?.()) ?? null
}

async function openRsync(dir: string): Promise<Copying> {
  const { into, url, close } = await openRsyncDaemon(dir)
  return {
    async copy(source) {
      await complete('rsync', ['-W', '--fsync', source, url])
      return join(into, basename(source))
    },
    close,
  }
}

/** A daemon that takes files for its folder `into`. */
export async function openRsyncDaemon(dir: string): Promise<{ into: string; url: string; close(): Promise<void> }> {
  const into = folderIn(dir, 'rsync')
  const port = await freePort()
  const settings = [
    `port = ${port}`,
    'address = 127.0.0.1',
    'use chroot = no',
    'reverse lookup = no',
    // Started by root it would become somebody who may not write here.
    ...(isRoot() ? ['uid = 0', 'gid = 0'] : []),
    '[copy]',
    `path = ${into}`,
    'read only = no',
  ]
  const config = join(dir, 'rsyncd.conf')
  writeFileSync(config, `${settings.join('\n')}\n`)
  const args = ['--daemon', '--no-detach', `--config=${config}`]
  const server = await startServer({ program: 'rsync', args, dir, port })
  return { into, url: `rsync://127.0.0.1:${port}/copy/`, close: server.stop }
}

const SSHD_RUN = '/run/sshd'

async function openScp(dir: string): Promise<Copying> {
  const into = folderIn(dir, 'scp')
  const [hostKey, key] = [join(dir, 'host-key'), join(dir, 'key')]
  for (const path of [hostKey, key]) await complete('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path])
  const server = await startSshd(dir, { hostKey, authorizedKeys: `${key}.pub` })
  const options = {
    IdentityFile: key,
    IdentitiesOnly: 'yes',
    BatchMode: 'yes',
    StrictHostKeyChecking: 'no',
    UserKnownHostsFile: join(dir, 'known-hosts'),
    Ciphers: 'aes128-gcm@openssh.com',
    Compression: 'no',
    LogLevel: 'ERROR',
  }
  const flags = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  return {
    async copy(source) {
      const target = `${userInfo().username}@127.0.0.1:${into}/`
      await complete('scp', ['-q', '-F', 'none', '-P', String(server.port), ...flags, source, target])
      return await flushed(join(into, basename(source)))
    },
    close: server.stop,
  }
}

async function startSshd(dir: string, { hostKey, authorizedKeys }: { hostKey: string; authorizedKeys: string }) {
  const port = await freePort()
  const settings = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${hostKey}`,
    `AuthorizedKeysFile ${authorizedKeys}`,
    'PidFile none',
    'UsePAM no',
    'PasswordAuthentication no',
    'PermitRootLogin prohibit-password',
    // The folder may belong to a checkout that others can write.
    'StrictModes no',
    'Subsystem sftp internal-sftp',
  ]
  const config = join(dir, 'sshd_config')
  writeFileSync(config, `${settings.join('\n')}\n`)
  const isMade = isRoot() && makeSshdRun()
  const server = await startServer({ program: 'sshd', args: ['-D', '-e', '-f', config], dir, port })
  const close = async () => {
    await server.stop()
    if (isMade) rmdirSync(SSHD_RUN)
  }
  return { ...server, stop: close } satisfies Server
}

/** Root's sshd wants this empty folder, which Debian's service makes at its start. Whether it was missing. */
function makeSshdRun(): boolean {
  return mkdirSync(SSHD_RUN, { recursive: true, mode: 0o755 }) !== undefined
}

async function openCp(dir: string): Promise<Copying> {
  const into = folderIn(dir, 'cp')
  return {
    async copy(source) {
      await complete('cp', ['--reflink=never', source, `${into}/`])
      return await flushed(join(into, basename(source)))
    },
    close: async () => undefined,
  }
}

/** Source, relay and sink, as a sender, a hub that stores and forwards, and a receiver. */
async function openRaw(dir: string, hashes: boolean): Promise<Copying> {
  const into = folderIn(dir, 'raw')
  return {
    async copy(source) {
      const [kept, path] = [join(dir, 'kept'), join(into, basename(source))]
      const parts: ChildProcess[] = []
      const ends: Promise<unknown[]>[] = []
      const start = (settings: Record<string, string | number>) => {
        const child = startRole('raw-copier', { ...settings, hashes })
        parts.push(child)
        ends.push(once(child, 'exit'))
        return child
      }
      const portOf = async (child: ChildProcess) => (await firstMessage<{ port: number }>(child, 'raw copier')).port
      try {
        const first = start({ part: 'source', path: source, port: 0 })
        const relay = start({ part: 'relay', path: kept, port: await portOf(first) })
        start({ part: 'sink', path, port: await portOf(relay) })
        const codes = (await Promise.all(ends)).map(([code]) => code)
        if (codes.some((code) => code !== 0)) throw new Error(`a raw copier failed: exits ${codes.join(', ')}`)
        return path
      } finally {
        for (const child of parts) await stop(child, 'SIGKILL')
        rmSync(kept, { force: true })
      }
    },
    close: async () => undefined,
  }
}

async function flushed(path: string): Promise<string> {
  await complete('sync', ['-d', path])
  return path
}

function folderIn(dir: string, name: string): string {
  const path = join(dir, name)
  mkdirSync(path)
  return path
}

const isRoot = (): boolean => process.getuid?.() === 0
