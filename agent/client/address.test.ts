import t from 'tap'
import { parseAddress } from './address.ts'

t.test('how a hub may be named', async (t) => {
  t.same(parseAddress('hub.example:7400'), { kind: 'tls', host: 'hub.example', port: 7400 })
  t.same(parseAddress('tls://10.0.0.1:7400'), { kind: 'tls', host: '10.0.0.1', port: 7400 })
  t.same(parseAddress('[::1]:7400'), { kind: 'tls', host: '::1', port: 7400 })
  t.same(parseAddress('tcp://127.0.0.1:7400'), { kind: 'tcp', host: '127.0.0.1', port: 7400 })
  t.same(parseAddress('tcp://[::1]:7400'), { kind: 'tcp', host: '::1', port: 7400 })
  const url = 'wss://hub.example/causeway'
  t.same(parseAddress(url), { kind: 'websocket', url, tls: true })
  t.same(parseAddress('ws://localhost:7401/c'), { kind: 'websocket', url: 'ws://localhost:7401/c', tls: false })
})

t.test('what is none says why, and what would be one', async (t) => {
  const wrong = ['', 'hub', 'hub:', 'hub:0', 'hub:65536', 'hub:port', 'http://hub:80', 'hub:7400:1', '://', 'a b:1']
  for (const text of wrong) {
    t.throws(() => parseAddress(text), { code: 'ADDRESS_INVALID', remedy: /host:port/ }, JSON.stringify(text))
  }
})

t.test('nothing leaves this machine without TLS', async (t) => {
  for (const text of [
    'tcp://hub.example:7400',
    'tcp://10.0.0.1:7400',
    'ws://hub.example/',
    'tcp://127.0.0.1.evil.example:1',
  ]) {
    t.throws(() => parseAddress(text), { code: 'ADDRESS_INVALID', message: /without TLS/ }, text)
  }
})
