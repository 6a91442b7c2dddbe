// For upload.test.ts: uploads a file with a journal until it is killed. node agent/client/upload/until-killed.testing.ts PORT FILE JOURNAL

import { Upload } from './mod.ts'
import { TestClient } from './testing.ts'

const [port = '', path = '', journalDir = ''] = process.argv.slice(2)
const client = new TestClient()
await client.connect({ port: Number(port) })
const upload = new Upload(client, { path, journalDir })
await upload.opened
process.stdout.write(`${upload.id}\n`)
await upload.sealed
