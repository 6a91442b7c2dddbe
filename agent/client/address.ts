// Where the hub is, as people write it.

import { clientFault } from './faults.ts'

export type HubAddress =
  | { readonly kind: 'tls' | 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'websocket'; readonly url: string; readonly tls: boolean }

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/

/**
 * `host:port` and `tls://host:port` speak TLS 1.3; `wss://…` WebSocket over TLS; `tcp://` and `ws://` only on this machine.
 * Faults: `ADDRESS_INVALID`.
 */
export function parseAddress(text: string): HubAddress {
  const invalid = (why: string) => clientFault('ADDRESS_INVALID', { where: text.slice(0, 100), why })
  const written = /^[a-z]+:\/\//.test(text) ? text : `tls://${text}`
  if (!URL.canParse(written)) throw invalid('it is no host:port')
  const url = new URL(written)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const scheme = url.protocol.slice(0, -1)
  if ((scheme === 'tcp' || scheme === 'ws') && !LOOPBACK.test(host)) {
    throw invalid('connections without TLS are only possible on this machine (127.0.0.1)')
  }
  if (scheme === 'ws' || scheme === 'wss') return { kind: 'websocket', url: written, tls: scheme === 'wss' }
  if (scheme !== 'tls' && scheme !== 'tcp') throw invalid(`"${scheme}" is not a way to reach a hub`)
  const port = Number(url.port)
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw invalid('the port is missing')
  return { kind: scheme, host, port }
}
