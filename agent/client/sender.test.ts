// A sender of a stream kept elsewhere, against a hub played by the test.

import t from 'tap'
import { ProducingCredit, StreamSender } from './sender.ts'
import { TestConnection } from './testing.ts'

t.test('an acknowledgement that was lost with its connection is made up for by the next one', async (t) => {
  const told: string[] = []
  const released: number[] = []
  const sender = new StreamSender(
    {
      name: 's',
      epoch: 1,
      releasedSeq: 0,
      releasedTo: null,
      read: () => [],
      release: async (seq) => void released.push(seq),
    },
    {
      onAccepted: () => void told.push(`accepted up to ${released.at(-1)}`),
      onRefused: () => void told.push('refused'),
      onUnrouted: () => void told.push('unrouted'),
      onError: () => void told.push('error'),
      onLost: () => void told.push('lost'),
    },
  )
  const attach = async (lastSeq: number) => {
    const connection = new TestConnection()
    const attaching = sender.attach(connection.hub, new ProducingCredit(1000))
    connection.opened(1, lastSeq)
    await attaching
  }
  await attach(0)
  t.same(told, [], 'the hub has nothing')
  await attach(5)
  t.same(told.splice(0), ['accepted up to 5'], 'whoever waits for it is told')
  await attach(5)
  t.same(told, [], 'nothing new')
  sender.accepted({ streamId: 1, lastSeq: 7, creditBytes: 0, unrouted: 0 })
  await Promise.resolve()
  t.same(told.splice(0), ['accepted up to 7'])
  await attach(7)
  t.same(told, [], 'nothing new')
})
