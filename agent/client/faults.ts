import { declareFaults } from '#protocol/base/mod.ts'

export const clientFault = declareFaults('client', {
  ADDRESS_INVALID: {
    meaning: 'an address of the hub cannot be understood',
    remedy: 'Write host:port (TLS), wss://host:port/path, or tcp://127.0.0.1:port on the same machine',
  },
  HUB_UNREACHABLE: {
    meaning: 'the hub cannot be reached',
    remedy: 'Check the address, the firewall and whether the hub runs; the agent keeps trying',
  },
  HUB_TLS_FAILED: {
    meaning: 'the TLS connection to the hub failed',
    remedy: "Check that the address leads to this agent's own hub and that no proxy opens the connection",
  },
  CLIENT_CLOSED: { meaning: 'the client was closed', remedy: 'Make a new client' },
  CONNECTION_LOST: {
    meaning: 'the connection to the hub was lost before the answer came',
    remedy: 'The client reconnects by itself; repeat the request if its effect is not visible',
  },
  PUBLISH_REFUSED: {
    meaning: 'the hub refused messages',
    remedy: 'Correct what the hub names and publish them again; nothing after them was stored either',
  },
  ACKNOWLEDGED_LOST: {
    meaning:
      "the hub's store is an older copy: it lacks messages that it had acknowledged and that are not kept here any more",
    remedy:
      'Everything else goes on. Whoever consumed these numbers before has them; for the others, let the source give their records again',
  },
  PUBLISH_WINDOW_FULL: {
    meaning: 'more is waiting for acknowledgement than the publisher may hold',
    remedy: 'Await room() before publishing more, or raise windowBytes',
  },
  GROUP_TOO_LARGE: {
    meaning: 'messages that belong together do not fit into one batch',
    remedy: 'Publish fewer or smaller ones together: at most 65,536 messages and 2 MiB with their keys',
  },
  REQUEST_REFUSED: { meaning: 'the hub refused a request', remedy: 'Correct what the hub names' },
  REQUEST_TIMEOUT: {
    meaning: 'no reply came before the deadline',
    remedy: 'Check that somebody answers this topic, or allow more time',
  },
  ORIGIN_UNKNOWN: {
    meaning: 'a batch is signed by a key whose certificate the hub did not present',
    remedy: "Report it to the hub's operator; the messages were not used",
  },
  SETTLED_TWICE: {
    meaning: 'a message was settled a second time',
    remedy: 'Settle each message of a delivery once',
  },
  RETRY_DELAY_INVALID: {
    meaning: 'a time until the next delivery is no such time',
    remedy: 'Give whole milliseconds from 0 on, ten years at most',
  },
  DELIVERY_INVALID: {
    meaning: 'a delivery contradicts itself',
    remedy: "Report it to the hub's operator; the messages were not used",
  },
  DELIVERY_UNPROVEN: {
    meaning: 'delivered messages are not what their origin sealed; they were rejected, and the hub has set them aside',
    remedy: "Report it to the hub's operator; have the origin send them again",
  },
  RECEIPT_INVALID: {
    meaning: 'a receipt cannot be read',
    remedy: "It was rejected and lies among the hub's dead letters; report it to the hub's operator",
  },
  TRANSFERS_UNSUPPORTED: {
    meaning: 'the hub does not take large content',
    remedy: 'Update the hub, or send the content in messages of up to 1 MiB',
  },
  TRANSFER_CANCELLED: {
    meaning: 'the transfer was given up',
    remedy: 'Start it again if its content is still wanted',
  },
  TRANSFER_EXPIRED: {
    meaning: 'the time is over in which the content was to be sent',
    remedy: 'Start it again with more time, if its content is still wanted',
  },
  TRANSFER_LEFT: {
    meaning: 'the transfer was left as it is',
    remedy: 'Start it again: it goes on where it was',
  },
  TRANSFER_REFUSED: {
    meaning: 'the hub does not go on with the transfer',
    remedy: 'Read the reason the hub gave',
  },
  CONTENT_CHANGED: {
    meaning: 'the file changed while it was sent',
    remedy: 'Nothing to do: it is sent again from the start, as it is then. Avoid writing to files that are being sent',
  },
})
