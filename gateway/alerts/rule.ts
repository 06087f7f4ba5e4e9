/**
 * Owns what a rule may say (docs/alerts.md): one item of a file in `config/rules`, checked.
 *
 * Always true of a `Rule`: it has one condition, its devices, times and numbers can be used, and whom it tells can be told; what is wrong
 * with one is said by a `ConfigError` with file and line. Bounds: `TARGETS_PER_RULE_MAX`, and the ranges below.
 */

import { basename } from 'node:path'
import type { ConfigValue } from '../../platform/config-file.ts'
import { parseDuration } from '../../platform/units.ts'
import { REJECTION_CODES } from '../../schemas/reading.ts'
import { RULE_DEVICES_KEYS, type RuleDevices, readRuleDevices } from './rule-devices.ts'
import { readTarget, type Target } from './target.ts'

/** Of a field: for so long it is beyond `value`, and back when it is at `until`, or on the other side of it. */
export interface Threshold {
  readonly kind: 'above' | 'below'
  readonly devices: RuleDevices
  readonly stream: string
  readonly column: string
  readonly value: number
  readonly until: number
  readonly forMs: number
}

export type Condition =
  | { readonly kind: 'silent'; readonly devices: RuleDevices; readonly forMs: number }
  /** `below` is a ratio. */
  | { readonly kind: 'completeness'; readonly devices: RuleDevices; readonly below: number; readonly overHours: number }
  | {
      readonly kind: 'dead'
      readonly devices: RuleDevices
      readonly above: number
      readonly overMs: number
      readonly code: string | undefined
    }
  | Threshold
  | { readonly kind: 'lag'; readonly aboveMs: number }

export interface Rule {
  readonly name: string
  readonly condition: Condition
  readonly to: readonly Target[]
  /** File and line. */
  readonly where: ConfigValue
}

const KINDS = ['silent', 'completeness', 'dead', 'above', 'below', 'lag'] as const
const KEYS = ['name', ...KINDS, 'to']
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$/
const NAME_RULE = '1 to 64 of A-Z a-z 0-9 . _ : -'
const FIELD = /^([a-z][a-z0-9_]*)\.(.+)$/
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** Silence is looked for once a second, and a device that sends each second is not silent after two. */
const SILENT_MS_MIN = 5_000
/** What is received is counted by the hour, for 48 hours. */
const COMPLETENESS_HOURS_MAX = 24
const DEAD_ABOVE_MAX = 1_000_000
const TARGETS_PER_RULE_MAX = 10

/** `ofFile`: how many rules the file has. Throws a `ConfigError`. */
export function readRule(item: ConfigValue, ofFile: number): Rule {
  const keys = item.entries('a rule', KEYS)
  const [kind, second] = KINDS.filter((each) => keys.has(each))
  if (kind === undefined) return item.refuse(`it has no condition; right is one of ${KINDS.join(', ')}`)
  if (second !== undefined) {
    keys.get(second)?.refuse(`${kind} and ${second} are two conditions, and a rule has one; right is a rule for each`)
  }
  const condition = READ[kind](keys.get(kind) as ConfigValue)
  const to = keys.get('to') ?? item.refuse('it has no to, so nobody is told; right is a list of URLs')
  const targets = (to.isList ? to.list('to') : [to]).map(readTarget)
  if (targets.length === 0) to.refuse('to is an empty list, so nobody is told; right is a list of URLs')
  if (targets.length > TARGETS_PER_RULE_MAX) to.refuse(`to has more than ${TARGETS_PER_RULE_MAX} targets`)
  return { name: nameOf(item, keys.get('name'), ofFile), condition, to: targets, where: item }
}

function nameOf(item: ConfigValue, given: ConfigValue | undefined, ofFile: number): string {
  if (given !== undefined) {
    const name = given.text('name')
    return NAME.test(name) ? name : given.refuse(`name is ${given.shown}; right is ${NAME_RULE}`)
  }
  if (ofFile > 1) return item.refuse('it has no name; of several rules in a file each needs one')
  const name = basename(item.file).replace(/\.ya?ml$/, '')
  return NAME.test(name) ? name : item.refuse(`the file's name is no name of a rule; right is a name of ${NAME_RULE}`)
}

const READ: { readonly [Kind in (typeof KINDS)[number]]: (value: ConfigValue) => Condition } = {
  silent: (value) => {
    const get = partsOf(value, 'silent', ['for'], RULE_DEVICES_KEYS)
    return {
      kind: 'silent',
      devices: readRuleDevices(value, get),
      forMs: readTime(get, 'for', SILENT_MS_MIN, 30 * DAY_MS),
    }
  },
  completeness: (value) => {
    const get = partsOf(value, 'completeness', ['below'], ['over', ...RULE_DEVICES_KEYS])
    return {
      kind: 'completeness',
      devices: readRuleDevices(value, get),
      below: readShare(get),
      overHours: readHours(get),
    }
  },
  dead: (value) => {
    const get = partsOf(value, 'dead', ['above', 'over'], ['code', ...RULE_DEVICES_KEYS])
    const above = get('above') as ConfigValue
    const count = above.number('above')
    if (!Number.isInteger(count) || count < 0 || count > DEAD_ABOVE_MAX) {
      above.refuse(`above is ${count}; right is a whole number of messages, 0 to ${DEAD_ABOVE_MAX}`)
    }
    const overMs = readTime(get, 'over', 10_000, DAY_MS)
    return {
      kind: 'dead',
      devices: readRuleDevices(value, get),
      above: count,
      overMs,
      code: get('code')?.oneOf('code', REJECTION_CODES),
    }
  },
  above: (value) => readThreshold(value, 'above'),
  below: (value) => readThreshold(value, 'below'),
  lag: (value) => {
    const get = partsOf(value, 'lag', ['above'])
    return { kind: 'lag', aboveMs: readTime(get, 'above', 10_000, 30 * DAY_MS) }
  },
}

type Get = (key: string) => ConfigValue | undefined

/** The parts of a condition; those that it must have are there. */
function partsOf(value: ConfigValue, kind: string, needed: readonly string[], others: readonly string[] = []): Get {
  const parts = value.entries(kind, [...needed, ...others])
  for (const key of needed) if (!parts.has(key)) value.refuse(`${kind} has no ${key}`)
  return (key) => parts.get(key)
}

function readTime(get: Get, key: string, min: number, max: number): number {
  const value = get(key) as ConfigValue
  const ms = parseDuration(value.text(key))
  if (ms !== undefined && ms >= min && ms <= max) return ms
  const bounds = `${min === 0 ? '0s' : `${min / 1_000}s`} to ${max / DAY_MS}d`
  return value.refuse(`${key} is ${value.shown}; right is a time such as 30s, 5m or 2h, ${bounds}`)
}

function readShare(get: Get): number {
  const value = get('below') as ConfigValue
  const percent = /^(\d+(?:\.\d+)?) ?%$/.exec(String(value.scalar))?.[1]
  const share = Number(percent) / 100
  if (percent !== undefined && share > 0 && share <= 1) return share
  return value.refuse(`below is ${value.shown}; right is a share of what is expected, such as 95%`)
}

function readHours(get: Get): number {
  const value = get('over')
  if (value === undefined) return 1
  const hours = (parseDuration(value.text('over')) ?? 0) / HOUR_MS
  if (Number.isInteger(hours) && hours >= 1 && hours <= COMPLETENESS_HOURS_MAX) return hours
  return value.refuse(
    `over is ${value.shown}; right is whole hours, 1h to ${COMPLETENESS_HOURS_MAX}h: they are what is counted`,
  )
}

function readThreshold(given: ConfigValue, kind: 'above' | 'below'): Threshold {
  const get = partsOf(given, kind, ['field', 'value'], ['until', 'for', ...RULE_DEVICES_KEYS])
  const field = get('field') as ConfigValue
  const [, stream = '', column = ''] = FIELD.exec(field.text('field')) ?? []
  if (stream === '')
    field.refuse(`field is ${field.shown}; right is a stream and its column, such as environment.temperature`)
  const value = (get('value') as ConfigValue).number('value')
  const end = get('until')
  const until = end?.number('until') ?? value
  if (kind === 'above' ? until > value : until < value) {
    const side = kind === 'above' ? 'at most' : 'at least'
    end?.refuse(`until is ${until}; right is ${side} ${value}, the value: there the alert is over`)
  }
  const forMs = get('for') === undefined ? 0 : readTime(get, 'for', 0, 7 * DAY_MS)
  return { kind, devices: readRuleDevices(given, get), stream, column, value, until, forMs }
}
