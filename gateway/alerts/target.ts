/**
 * Owns whom an alert is told to, and in which form: a webhook of anybody's, ntfy (https://docs.ntfy.sh/publish/), or Alertmanager
 * (API v2, https://prometheus.io/docs/alerting/latest/clients/).
 *
 * Always true: only http and https; a token goes into a header, and is neither logged nor answered.
 */

import type { ConfigValue } from '../../platform/config-file.ts'

const KINDS = ['webhook', 'ntfy', 'alertmanager'] as const
const URL_CHARS_MAX = 2_048
const TOKEN = /^[\x21-\x7e]{1,1024}$/
/** An Alertmanager that is told nothing any more takes an alert for over after this. */
const ALERTMANAGER_ENDS_MS = 15 * 60_000

export interface Target {
  readonly kind: (typeof KINDS)[number]
  readonly url: string
  readonly token?: string
}

/** What is told. Times in milliseconds. */
export interface Message {
  /** The same each time that this is sent. */
  readonly id: string
  /** Of the alert: the same when it begins and when it ends. */
  readonly alert: string
  readonly rule: string
  readonly device?: string
  readonly stream?: string
  readonly tags?: Readonly<Record<string, string>>
  readonly state: 'firing' | 'resolved'
  readonly since: number
  readonly until?: number
  readonly sentence: string
}

export interface Request {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Throws a `ConfigError`. */
export function readTarget(value: ConfigValue): Target {
  if (!value.isMap) return { kind: 'webhook', url: readUrl(value, 'webhook') }
  const keys = value.entries('a target', [...KINDS, 'token'])
  const [kind, second] = KINDS.filter((each) => keys.has(each))
  if (kind === undefined) return value.refuse(`a target is a URL, or one of ${KINDS.join(', ')} with one`)
  if (second !== undefined) keys.get(second)?.refuse(`${kind} and ${second} are two targets; right is one for each`)
  const url = readUrl(keys.get(kind) as ConfigValue, kind)
  const token = keys.get('token')
  if (token !== undefined && !TOKEN.test(token.text('token'))) token.refuse('token is none: right is one word of ASCII')
  return { kind, url, ...(token && { token: token.text('token') }) }
}

function readUrl(value: ConfigValue, kind: Target['kind']): string {
  const text = value.text(kind)
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || text.length > URL_CHARS_MAX) {
    return value.refuse(`${kind} is ${value.shown}; right is an http or https URL`)
  }
  if (url.username !== '' || url.password !== '') {
    value.refuse(`the URL has a name and a password in it; right is { ${kind}: ${url.origin}/..., token: ... }`)
  }
  if (kind === 'ntfy' && !/^\/[\w-]+$/.test(url.pathname)) {
    value.refuse(`ntfy is ${value.shown}; right is the URL of a topic, such as https://ntfy.sh/yard-17`)
  }
  return url.href
}

/** The part of its URL that is no secret. */
export const originOf = ({ url }: Target): string => new URL(url).origin

export function requestOf(target: Target, message: Message, now: number): Request {
  const headers = {
    'Content-Type': 'application/json',
    'User-Agent': 'telltale',
    'Idempotency-Key': message.id,
    ...(target.token !== undefined && { Authorization: `Bearer ${target.token}` }),
  }
  if (target.kind === 'webhook') return { url: target.url, headers, body: JSON.stringify(message) }
  if (target.kind === 'alertmanager') return alertsRequest(target, [message], now)
  const isFiring = message.state === 'firing'
  const title = `${message.state}: ${message.rule}${message.device === undefined ? '' : ` ${message.device}`}`
  const words = { Title: title, Tags: isFiring ? 'warning' : 'white_check_mark', Priority: isFiring ? '4' : '3' }
  return {
    url: target.url,
    headers: { ...headers, 'Content-Type': 'text/plain; charset=utf-8', ...words },
    body: message.sentence,
  }
}

/** Tells an Alertmanager of alerts, or once more of those that are firing: it forgets what it is not told again. */
export function alertsRequest(target: Target, messages: readonly Message[], now: number): Request {
  const alerts = messages.map(({ rule, device, stream, tags, state, since, until, sentence, alert }) => ({
    labels: {
      ...tags,
      alertname: rule,
      source: 'telltale',
      ...(device !== undefined && { device }),
      ...(stream !== undefined && { stream }),
    },
    annotations: { summary: sentence, alert },
    startsAt: new Date(since).toISOString(),
    endsAt: new Date(state === 'firing' ? now + ALERTMANAGER_ENDS_MS : (until ?? now)).toISOString(),
  }))
  const url = `${target.url.replace(/\/+$/, '')}/api/v2/alerts`
  const headers = {
    'Content-Type': 'application/json',
    'User-Agent': 'telltale',
    ...(target.token !== undefined && { Authorization: `Bearer ${target.token}` }),
  }
  return { url, headers, body: JSON.stringify(alerts) }
}
