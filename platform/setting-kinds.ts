/**
 * Owns the kinds of settings: how the text of a variable is read, what is allowed, and how a value is shown so that it
 * can be typed again.
 */

import { z } from 'zod'
import { formatBytes, formatDuration, parseBytes, parseDuration, parseTime } from './units.ts'

export interface SettingKind<T> {
  /** As `telltale config` names it. */
  readonly type: string
  /** The value of the variable's text. Throws for anything that is not allowed. */
  readonly parse: (text: string) => T
  readonly allowed: string
  readonly show: (value: T) => string
}

const plain = (value: unknown) => String(value)

function within(read: (text: string) => number | undefined, min: number, max: number) {
  return (text: string) => {
    const value = read(text)
    if (value === undefined || value < min || value > max) throw new RangeError('out of range')
    return value
  }
}

export const text = (allowed: string, type = 'text'): SettingKind<string> => ({
  type,
  parse: (value) => z.string().trim().min(1).parse(value),
  allowed,
  show: plain,
})

/** One level of an MQTT topic. */
export const topicLevel: SettingKind<string> = {
  ...text('a name without /, + and #', 'a name'),
  parse: (value) =>
    z
      .string()
      .regex(/^[^/+#\p{Cc}]{1,64}$/u)
      .parse(value),
}

export const pemFile = text('a PEM file', 'file')

/** MQTT 5 section 4.7.1: `#` last, and alone in its level, as `+`. */
const FILTER = /^(?!\$share\/)((\+|[^/+#\0]*)\/)*(\+|#|[^/+#\0]+)$/

const REFERENCE = /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:\d{1,5})?$/i

/** As MQTT 5 recommends them (section 4.11). */
export const serverReferences: SettingKind<string> = {
  ...text('a host or host:port; several with a space between them', 'servers'),
  parse: (value) => {
    const references = value.trim().split(/\s+/)
    return references.map((each) => z.string().regex(REFERENCE).parse(each)).join(' ')
  },
}

/** A URL with `********` for a password in it; also of text that is none. */
export function maskPassword(url: string): string {
  return url.replace(/(:\/\/[^/?#:]*:)[^/?#]*@/, '$1********@')
}

export const url: SettingKind<string> = {
  type: 'URL',
  parse: (value) => z.url({ protocol: /^https?$/ }).parse(value),
  allowed: 'an http or https URL',
  show: maskPassword,
}

/** Of an MQTT broker. */
export const mqttUrl: SettingKind<string> = {
  type: 'URL',
  parse: (value) => {
    const { protocol, hostname, username, password, pathname, search, hash } = new URL(value.trim())
    const isBare = username === '' && password === '' && /^\/?$/.test(pathname) && search === '' && hash === ''
    if (!/^mqtts?:$/.test(protocol) || hostname === '' || !isBare) throw new RangeError('not the URL of a broker')
    return value.trim()
  },
  allowed: 'mqtt://host:port or mqtts://host:port, and nothing behind it',
  show: maskPassword,
}

/** Which kind of log, and where; what is behind the scheme is read by that kind (`log/kafka/address.ts`, `log/rabbitmq/address.ts`). */
export const logAddress: SettingKind<string> = {
  type: 'log',
  parse: (value) => {
    if (!/^(local$|kafka:\/\/|amqps?:\/\/)/.test(value.trim())) throw new RangeError('no kind of log')
    return value.trim()
  },
  allowed: 'local, kafka://host:9092,host:9092/name or amqp://user:password@host:5672/vhost?name=name',
  show: maskPassword,
}

/** Topic filters, with commas between them. */
export const topicFilters: SettingKind<readonly string[]> = {
  type: 'topic filters',
  parse: (value) => value.split(',').map((each) => z.string().regex(FILTER).parse(each.trim())),
  allowed: 'topic filters of MQTT with commas between them, without $share',
  show: (value) => value.join(','),
}

/** Of map tiles. Its origin must be one, for a page is allowed to ask it by name: `{s}` is not allowed. */
export const tiles: SettingKind<string> = {
  type: 'URL',
  parse: (value) => {
    const template = value.trim()
    const { protocol, username, password } = new URL(template)
    const names = [...template.matchAll(/\{(.*?)\}/g)].map(([, name]) => name)
    const isWhole = ['x', 'y', 'z'].every((name) => names.includes(name))
    const isKnown = names.every((name) => ['x', 'y', 'z', 'r'].includes(name ?? ''))
    if (!/^https?:$/.test(protocol) || username !== '' || password !== '' || !isWhole || !isKnown)
      throw new RangeError('not a template of tiles')
    return template
  },
  allowed: 'a URL such as https://tiles.example/{z}/{x}/{y}.png; {r} may be in it, for screens of high resolution',
  show: plain,
}

/** What a browser calls where a page is from (RFC 6454 section 6.1). */
function originOf(text: string): string {
  const { origin, href } = new URL(z.url({ protocol: /^https?$/ }).parse(text))
  // No browser would ever say one with a wildcard.
  if (href !== `${origin}/` || origin.includes('*')) throw new RangeError('not an origin')
  return origin
}

export const origins: SettingKind<readonly string[]> = {
  type: 'origins',
  parse: (value) => (value === 'self' ? [] : value.split(',').map((each) => originOf(each.trim()))),
  allowed: 'origins such as https://app.example, with commas between them; self for none but its own pages',
  show: (value) => (value.length === 0 ? 'self' : value.join(',')),
}

/** May hold anything; shown masked. */
export const secret = (allowed: string): SettingKind<string> => ({
  type: 'secret',
  parse: (value) => value,
  allowed,
  show: () => '********',
})

export const boolean: SettingKind<boolean> = {
  type: 'boolean',
  parse: (value) => z.enum(['true', 'false']).parse(value) === 'true',
  allowed: 'true or false',
  show: plain,
}

export const choice = <const T extends readonly string[]>(...values: T): SettingKind<T[number]> => ({
  type: 'choice',
  parse: (value) => z.enum(values).parse(value),
  allowed: values.length === 2 ? values.join(' or ') : values.join(', '),
  show: plain,
})

export const integer = (
  min: number,
  max: number,
  allowed = `${min} to ${max}`,
  type = 'integer',
): SettingKind<number> => ({
  type,
  parse: (value) => z.string().regex(/^\d+$/).transform(Number).pipe(z.int().min(min).max(max)).parse(value),
  allowed,
  show: plain,
})

export const port = integer(0, 65_535, 'a port, 1 to 65535, or 0 for a free one', 'port')

export const size = (min: number, max: number): SettingKind<number> => ({
  type: 'size',
  parse: within(parseBytes, min, max),
  allowed: `${formatBytes(min)} to ${formatBytes(max)}`,
  show: formatBytes,
})

export const duration = (min: number, max: number): SettingKind<number> => ({
  type: 'duration',
  parse: within(parseDuration, min, max),
  allowed: `a duration from ${formatDuration(min)} to ${formatDuration(max)}`,
  show: formatDuration,
})

/** Milliseconds since 1970-01-01T00:00Z. */
export const time = (min: number, max: number): SettingKind<number> => ({
  type: 'time',
  parse: within(parseTime, min, max),
  allowed: `a date, or a date and time, in ISO 8601, from ${formatTime(min)} to ${formatTime(max)}`,
  show: formatTime,
})

/** Without a time of day if it is midnight. */
const formatTime = (ms: number): string => new Date(ms).toISOString().replace(/T00:00:00\.000Z$/, '')
