// Checks the import directions alone, for `make check`. Run: node test/toolchain/imports.ts

import { join } from 'node:path'
import { directionRules } from './directions.ts'
import { describe, readHouse } from './house.ts'

const house = readHouse(join(import.meta.dirname, '../..'))
const findings = directionRules.flatMap((rule) => rule.find(house))
for (const finding of findings) console.log(describe(finding))
console.log(`${house.modules.size} modules, ${findings.length} imports to mend`)
process.exitCode = findings.length === 0 ? 0 : 1
