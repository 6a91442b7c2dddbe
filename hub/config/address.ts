// Hosts and addresses as hub.yaml writes them.

import { isIP, isIPv4, isIPv6 } from 'node:net'
import { HOST_LENGTH_MAX } from './limits.ts'

const HOST_NAME =
  /^(?=[^.])(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/

/** Whether only this machine can reach a listener on `host`. */
export function isLoopback(host: string): boolean {
  if (isIPv4(host)) return host.startsWith('127.')
  if (isIPv6(host)) return host === '::1' || /^::ffff:127\./i.test(host)
  return host.toLowerCase() === 'localhost'
}

/** Whether a listener on `host` takes connections to every address of the machine. */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}

/** Why `host` is neither an address nor a name, or `null`. */
export function hostProblem(host: string): string | null {
  if (isIP(host) !== 0) return null
  // Four numbers are meant as an address: 300.1.1.1 would pass for a name.
  if (/^[\d.]+$/.test(host)) return 'it is no IP address'
  return host.length <= HOST_LENGTH_MAX && HOST_NAME.test(host) ? null : 'it is neither an IP address nor a host name'
}

/** Why `address` is not `host:port` (IPv6 in brackets), or `null`. */
export function addressProblem(address: string): string | null {
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(address)
  if (match === null) return 'it is not of the form host:port, such as hub.example.org:7400'
  const [, inBrackets, name = '', port = ''] = match
  if (Number(port) < 1 || Number(port) > 65_535) return 'its port is not from 1 to 65535'
  if (inBrackets === undefined) return hostProblem(name)
  return isIPv6(inBrackets) ? null : 'what stands in brackets is no IPv6 address'
}

/** `host:port`, IPv6 in brackets. */
export function joinAddress(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
}
