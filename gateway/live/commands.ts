/**
 * Owns the frames an app sends on `/v1/live` (docs/contract.md, "Live"): reads their text into commands, or into the error to
 * answer with. What a command names that is not known is an error, so that a misspelt option is not ignored.
 */

import { selectionOf } from '../../identity/topics.ts'
import { LIVE_FIELDS_MAX } from '../../platform/limits.ts'
import type { Selection } from '../../schemas/history.ts'
import type { CommandError } from './frames.ts'

/** Characters of the `id` of a command; a longer one is a bad command. */
const LIVE_COMMAND_ID_CHARS_MAX = 64

export type Command =
  | {
      readonly type: 'subscribe'
      readonly id: string
      readonly filter: string
      readonly selection: Selection
      readonly start: 'now' | 'latest'
      readonly fields?: readonly string[]
    }
  | { readonly type: 'unsubscribe'; readonly id: string; readonly subscription: string }

/** A closed set: refusals are counted by these. */
export type CommandErrorCode =
  | 'bad-json'
  | 'bad-command'
  | 'unknown-type'
  | 'bad-filter'
  | 'bad-field'
  | 'unsupported'
  | 'forbidden'
  | 'unknown-subscription'
  | 'too-many-subscriptions'
  | 'too-many-groups'

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
  subscribe: ['type', 'id', 'filter', 'start', 'fields', 'maxRate', 'reduce'],
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
  if (fields.type === 'update') return refuse('unsupported', 'update is not supported by this gateway yet')
  if (fields.type === 'subscribe') return readSubscribe(fields, fields.id)
  if (typeof fields.subscription !== 'string') {
    return refuse('bad-command', `subscription is ${show(fields.subscription)}: allowed is a name that subscribed gave`)
  }
  return { type: 'unsubscribe', id: fields.id, subscription: fields.subscription }
}

function readSubscribe(command: Fields, id: string): Command | CommandRefusal {
  const refuse = (code: CommandErrorCode, message: string) => new CommandRefusal(id, code, message)
  const { filter, start = 'now', fields } = command
  const selection = typeof filter === 'string' ? selectionOf(filter) : undefined
  if (typeof filter !== 'string' || selection === undefined) {
    return refuse('bad-filter', `filter is ${show(filter)}: allowed is ${FILTER_RULE}`)
  }
  for (const option of ['maxRate', 'reduce']) {
    if (command[option] !== undefined) return refuse('unsupported', `${option} is not supported by this gateway yet`)
  }
  if (typeof start === 'object' && start !== null) {
    return refuse('unsupported', `start is ${show(start)}: this gateway supports "now" and "latest" yet`)
  }
  if (start !== 'now' && start !== 'latest') {
    return refuse('bad-command', `start is ${show(start)}: allowed is "now" or "latest"`)
  }
  if (fields === undefined) return { type: 'subscribe', id, filter, selection, start }
  if (!isFields(fields)) {
    return refuse('bad-field', `fields is ${show(fields)}: allowed is an array of 1 to ${LIVE_FIELDS_MAX} column names`)
  }
  return { type: 'subscribe', id, filter, selection, start, fields }
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
