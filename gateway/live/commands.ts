/**
 * Owns the frames an app sends on `/v1/live` (docs/contract.md, "Live"): reads their text into commands, or into the error to
 * answer with. What a command names that is not known is an error, so that a misspelt option is not ignored.
 */

import { selectionOf } from '../../identity/topics.ts'
import { LIVE_FIELDS_MAX, LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX } from '../../platform/limits.ts'
import { parseDuration } from '../../platform/units.ts'
import type { Selection } from '../../schemas/history.ts'
import { type Rate, REDUCTIONS } from './rate.ts'

/** Characters of the `id` of a command; a longer one is a bad command. */
const LIVE_COMMAND_ID_CHARS_MAX = 64
/** Commands of one app in a second; one more is refused. An app that comes back begins all its subscriptions at once. */
export const LIVE_COMMANDS_PER_SECOND_MAX = 50
export const LIVE_COMMANDS_AT_ONCE_MAX = 2 * LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX
/** Readings a second of one series that may be asked for at most. */
export const LIVE_RATE_MIN = 0.001
export const LIVE_RATE_MAX = 1_000
/** How far back `last` may reach. */
const LIVE_LAST_MS_MAX = 366 * 86_400_000
/** Filters of one subscription, or of one request. */
export const REQUEST_FILTERS_MAX = 20

/** Where a subscription begins. */
export type Start = 'now' | 'latest' | { readonly lastMs: number } | { readonly after: string }

export interface SubscribeOptions {
  readonly filters: readonly string[]
  /** Of the filters, in their order. */
  readonly selections: readonly Selection[]
  readonly start: Start
  readonly fields?: readonly string[]
  readonly rate?: Rate
  readonly maxDelayMs?: number
}

export type Command =
  | { readonly type: 'subscribe'; readonly id: string; readonly options: SubscribeOptions }
  | {
      readonly type: 'update'
      readonly id: string
      readonly subscription: string
      /** Undefined lifts the limit. */
      readonly rate: Rate | undefined
    }
  | { readonly type: 'unsubscribe'; readonly id: string; readonly subscription: string }

export interface CommandError {
  readonly code: string
  readonly message: string
  /** The same command may succeed later. */
  readonly retry: boolean
}

/** A closed set: refusals are counted by these. */
export type CommandErrorCode =
  | 'bad-json'
  | 'bad-command'
  | 'unknown-type'
  | 'bad-filter'
  | 'bad-field'
  | 'bad-cursor'
  | 'bad-rate'
  | 'unsupported'
  | 'forbidden'
  | 'unknown-subscription'
  | 'too-many-subscriptions'
  | 'too-many-groups'
  | 'too-many-commands'
  | 'store-unavailable'

/** A command that cannot be done. */
export class CommandRefusal {
  readonly id: string | undefined
  readonly error: CommandError & { readonly code: CommandErrorCode }

  constructor(id: string | undefined, code: CommandErrorCode, message: string, retry = false) {
    this.id = id
    this.error = { code, message, retry }
  }
}

type Fields = Readonly<Record<string, unknown>>

const KNOWN = {
  subscribe: ['type', 'id', 'filter', 'start', 'fields', 'maxRate', 'reduce', 'maxDelay'],
  update: ['type', 'id', 'subscription', 'maxRate', 'reduce'],
  unsubscribe: ['type', 'id', 'subscription'],
} as const

export function readCommand(text: string): Command | CommandRefusal {
  const fields = parseObject(text)
  if (fields === undefined) return new CommandRefusal(undefined, 'bad-json', 'a frame is one JSON object')
  const id = typeof fields.id === 'string' ? fields.id.slice(0, LIVE_COMMAND_ID_CHARS_MAX) : undefined
  const refuse = (code: CommandErrorCode, message: string) => new CommandRefusal(id, code, message)
  if (!isKnownType(fields.type)) {
    return refuse('unknown-type', `type is ${show(fields.type)}: allowed is ${Object.keys(KNOWN).join(', ')}`)
  }
  if (typeof fields.id !== 'string' || fields.id.length === 0 || fields.id.length > LIVE_COMMAND_ID_CHARS_MAX) {
    const allowed = `a string of 1 to ${LIVE_COMMAND_ID_CHARS_MAX} characters`
    return refuse('bad-command', `id is ${show(fields.id)}: allowed is ${allowed}`)
  }
  const known: readonly string[] = KNOWN[fields.type]
  const unknown = Object.keys(fields).find((name) => !known.includes(name))
  if (unknown !== undefined) {
    return refuse('bad-command', `${fields.type} has no ${show(unknown)}: allowed is ${known.join(', ')}`)
  }
  const { id: own } = fields
  try {
    if (fields.type === 'subscribe') return { type: 'subscribe', id: own, options: readSubscribe(fields) }
    const { subscription } = fields
    if (typeof subscription !== 'string') {
      throw new Wrong('bad-command', `subscription is ${show(subscription)}: allowed is a name that subscribed gave`)
    }
    if (fields.type === 'unsubscribe') return { type: 'unsubscribe', id: own, subscription }
    if (fields.maxRate === undefined)
      throw new Wrong('bad-rate', `update has no maxRate: ${RATE_RULE}, or null for no limit`)
    const rate = fields.maxRate === null ? undefined : readRate(fields.maxRate, fields.reduce)
    return { type: 'update', id: own, subscription, rate }
  } catch (error) {
    if (error instanceof Wrong) return refuse(error.code, error.message)
    throw error
  }
}

/** What is wrong with what an app wants, in whichever form it says so. */
export class Wrong extends Error {
  readonly code: CommandErrorCode

  constructor(code: CommandErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

/** What an app wants, as the members of an object; throws a `Wrong` that says which one is not allowed. */
export function readSubscribe(command: Fields): SubscribeOptions {
  const { filter, start = 'now', fields, maxRate, reduce, maxDelay } = command
  const filters = Array.isArray(filter) ? filter : [filter]
  if (filters.length === 0 || filters.length > REQUEST_FILTERS_MAX) {
    throw new Wrong('bad-filter', `filter has ${filters.length} filters: allowed are 1 to ${REQUEST_FILTERS_MAX}`)
  }
  const selections = filters.map((each) => {
    const selection = typeof each === 'string' ? selectionOf(each) : undefined
    if (selection === undefined) throw new Wrong('bad-filter', `filter is ${show(each)}: allowed is ${FILTER_RULE}`)
    return selection
  })
  if (fields !== undefined && !isFields(fields)) {
    const allowed = `an array of 1 to ${LIVE_FIELDS_MAX} column names`
    throw new Wrong('bad-field', `fields is ${show(fields)}: allowed is ${allowed}`)
  }
  if (maxRate === undefined && reduce !== undefined) throw new Wrong('bad-rate', 'reduce is given without maxRate')
  const maxDelayMs = maxDelay === undefined ? undefined : readDuration('maxDelay', maxDelay)
  return {
    filters,
    selections,
    start: readStart(start),
    ...(fields !== undefined && { fields }),
    ...(maxRate !== undefined && { rate: readRate(maxRate, reduce) }),
    ...(maxDelayMs !== undefined && { maxDelayMs }),
  }
}

function readStart(start: unknown): Start {
  if (start === 'now' || start === 'latest') return start
  if (typeof start === 'object' && start !== null && Object.keys(start).length === 1) {
    const { last, after } = start as Fields
    if (typeof after === 'string') return { after }
    if (last !== undefined) return { lastMs: readDuration('last', last) }
  }
  const allowed = '"now", "latest", {"last":"15m"} or {"after":"<cursor>"}'
  throw new Wrong('bad-command', `start is ${show(start)}: allowed is ${allowed}`)
}

function readDuration(name: string, value: unknown): number {
  const ms = typeof value === 'string' ? parseDuration(value) : undefined
  if (ms !== undefined && ms > 0 && ms <= LIVE_LAST_MS_MAX) return ms
  throw new Wrong(
    'bad-command',
    `${name} is ${show(value)}: allowed is a duration such as 500ms, 30s, 15m, 24h, up to 366d`,
  )
}

const RATE_RULE = `allowed is a number from ${LIVE_RATE_MIN} to ${LIVE_RATE_MAX}`

function readRate(maxRate: unknown, reduce: unknown = 'last'): Rate {
  if (typeof maxRate !== 'number' || !(maxRate >= LIVE_RATE_MIN && maxRate <= LIVE_RATE_MAX)) {
    throw new Wrong('bad-rate', `maxRate is ${show(maxRate)}: ${RATE_RULE}`)
  }
  const known = REDUCTIONS.find((name) => name === reduce)
  if (known === undefined) throw new Wrong('bad-rate', `reduce is ${show(reduce)}: allowed is ${REDUCTIONS.join(', ')}`)
  return { maxRate, reduce: known }
}

export const FILTER_RULE =
  'an MQTT topic filter that matches devices/{device}/telemetry/{stream}, such as devices/+/telemetry/environment'

function parseObject(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}

const isKnownType = (type: unknown): type is keyof typeof KNOWN =>
  typeof type === 'string' && Object.hasOwn(KNOWN, type)

function isFields(value: unknown): value is string[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > LIVE_FIELDS_MAX) return false
  return value.every((field) => typeof field === 'string')
}

/** A value as it was sent, cut short. */
function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'absent'
  return text.length > 100 ? `${text.slice(0, 100)}...` : text
}
