// What happens to values between reading and writing: dates in other patterns, texts that become numbers.

import type { Row, Value } from '../../contract.ts'
import { isExact } from '../../formats/mod.ts'
import { dateChanger } from './dates.ts'
import { convertFault } from './faults.ts'
import type { ConvertSettings } from './settings.ts'

export type Change = (row: Row) => Row

/** `null` when nothing is to be changed. */
export function changeOf({ dates, numbers }: Pick<ConvertSettings, 'dates' | 'numbers'>): Change | null {
  const changes = new Map<string, (value: Value, where: string) => Value>()
  for (const [field, { from, to }] of Object.entries(dates)) {
    const change = dateChanger(from, to)
    changes.set(field, (value, where) => {
      if (typeof value === 'string') return value === '' ? null : change(value, where)
      throw convertFault('CONVERT_DATE', { where, why: `it is a ${typeof value}` })
    })
  }
  for (const [field, form] of Object.entries(numbers))
    changes.set(field, (value, where) => numberOf(value, form, where))
  if (changes.size === 0) return null
  return (row) => {
    const changed: Record<string, Value> = {}
    for (const field in row) {
      const value = row[field] as Value
      const change = value === null ? undefined : changes.get(field)
      changed[field] = change === undefined ? value : change(value, `field ${JSON.stringify(field)}`)
    }
    return changed
  }
}

type Form = ConvertSettings['numbers'][string]

const SIGNS = { none: '', point: '.', comma: ',', space: ' ', apostrophe: "'" } as const

function numberOf(value: Value, form: Form, where: string): Value {
  if (typeof value === 'number' || typeof value === 'bigint') return value
  const bad = (why: string): Error => convertFault('CONVERT_NUMBER', { where, why })
  if (typeof value !== 'string') throw bad(`it is a ${typeof value}`)
  if (value === '') return null
  const group = SIGNS[form.group]
  const [whole = '', fraction, ...more] = value.split(SIGNS[form.decimal])
  const [, sign = '', first = '', rest = ''] = /^([+-]?)(\d+)(.*)$/.exec(whole) ?? []
  const groups = group === '' || rest === '' ? [] : rest.slice(1).split(group)
  const grouped =
    rest === '' ||
    (group !== '' && rest.startsWith(group) && first.length <= 3 && groups.every((each) => /^\d{3}$/.test(each)))
  const fits = first !== '' && grouped && more.length === 0 && (fraction === undefined || /^\d+$/.test(fraction))
  if (!fits) throw bad(`${JSON.stringify(value.slice(0, 40))} is not written so`)
  const text = `${sign === '-' ? '-' : ''}${first}${groups.join('')}${fraction === undefined ? '' : `.${fraction}`}`
  const number = Number(text)
  if (fraction === undefined && !Number.isSafeInteger(number)) return BigInt(text)
  if (!isExact(number, text)) throw bad(`${text.slice(0, 60)} has more digits than a number holds`)
  return number
}
