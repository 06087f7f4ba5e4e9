/**
 * Owns the devices that `config/devices/*.yaml` declares: where each is, how it is labelled, which streams it should send, and how often.
 *
 * Always true: what is said of a device itself goes before what is said of all whose ids begin alike, and of these the longest beginning
 * goes first; labels are put together. They change as a whole; who follows them is told then. Bounds: `DECLARED_DEVICES_MAX`, `PATTERNS_MAX`
 * beginnings, `MATCHED_KEPT_MAX`.
 */

import { ConfigError, type ConfigValue } from '../platform/config-file.ts'
import { formatDuration, parseDuration } from '../platform/units.ts'
import { isDevicePattern, namesDevice } from './scope.ts'
import { isStreamName } from './topics.ts'

export const DECLARED_DEVICES_MAX = 100_000
/** A list of 5,000 devices looks at each of them for each device. */
const PATTERNS_MAX = 100
/** Devices that are not declared, of which it is known what the beginnings say; one more, and they are looked up again. */
const MATCHED_KEPT_MAX = 100_000
const LABELS_MAX = 16
const STREAMS_MAX = 32
const INTERVAL_MS_MIN = 100
const INTERVAL_MS_MAX = 366 * 86_400_000
const LABEL_NAME = /^[A-Za-z][\w.-]{0,63}$/
const TEXT_CHARACTERS_MAX = 128

/** What an entry of a file says of devices; `USER_KEYS` are the others. */
export const DECLARATION_KEYS = ['site', 'labels', 'streams', 'interval'] as const

/** Where devices are, and labels that they have. */
export interface Place {
  readonly site?: string
  readonly labels: Readonly<Record<string, string>>
}

export interface Declaration extends Place {
  /** That it should send. */
  readonly streams: readonly string[]
  /** From one message of a stream to the next. */
  readonly intervalMs?: number
}

/** An entry of a file, as far as it is of devices. */
export interface DeclaredEntry {
  readonly file: string
  readonly line: number
  /** Ids, and beginnings of ids with a `*` behind. */
  readonly devices: readonly string[]
  readonly declaration: Declaration
  /** It is there for a user, and says nothing else: other entries may be of the same device. */
  readonly isOfUser: boolean
}

const NOTHING: Declaration = { labels: {}, streams: [] }

export class DeclaredDevices {
  #devices: ReadonlyMap<string, Declaration> = new Map()
  #patterns: readonly { readonly pattern: string; readonly declaration: Declaration }[] = []
  #ids: readonly string[] = []
  /** Of devices that are not declared, what the beginnings say. */
  readonly #matched = new Map<string, Declaration | undefined>()
  readonly #changed = new Set<() => void>()

  /** Puts these in force. Throws a `ConfigError`, and those of before stay. */
  use(entries: readonly DeclaredEntry[]): void {
    const own = new Map<string, DeclaredEntry>()
    for (const entry of entries) {
      for (const device of entry.devices) {
        const other = own.get(device)
        if (other !== undefined && !other.isOfUser && !entry.isOfUser)
          refuse(entry, `${device} is there already: ${other.file}:${other.line}`)
        if (other === undefined || other.isOfUser) own.set(device, entry)
        if (own.size > DECLARED_DEVICES_MAX + PATTERNS_MAX)
          refuse(entry, `there are more than ${DECLARED_DEVICES_MAX} devices`)
      }
    }
    const patterns = [...own].filter(([device]) => device.endsWith('*'))
    const last = patterns[PATTERNS_MAX]
    if (last !== undefined) refuse(last[1], `there are more than ${PATTERNS_MAX} beginnings with a * behind`)
    patterns.sort(([one], [other]) => other.length - one.length)
    this.#patterns = patterns.map(([pattern, { declaration }]) => ({ pattern, declaration }))
    const ids = [...own.keys()].filter((device) => !device.endsWith('*'))
    this.#devices = new Map(ids.map((device) => [device, this.#whole(device, own.get(device)?.declaration)]))
    this.#ids = ids.sort()
    this.#matched.clear()
    for (const changed of this.#changed) changed()
  }

  /** Calls back after each change, until the function that it returns is called. */
  onChange(changed: () => void): () => void {
    this.#changed.add(changed)
    return () => this.#changed.delete(changed)
  }

  /** In order. */
  get ids(): readonly string[] {
    return this.#ids
  }

  has(device: string): boolean {
    return this.#devices.has(device)
  }

  /** What is said of it, also of one that only begins as is said; undefined if nothing is. */
  get(device: string): Declaration | undefined {
    const own = this.#devices.get(device)
    if (own !== undefined || this.#patterns.length === 0) return own
    if (this.#matched.has(device)) return this.#matched.get(device)
    const isNamed = this.#patterns.some(({ pattern }) => namesDevice(pattern, device))
    const matched = isNamed ? this.#whole(device, undefined) : undefined
    if (this.#matched.size >= MATCHED_KEPT_MAX) this.#matched.clear()
    this.#matched.set(device, matched)
    return matched
  }

  /** Whether anything that files say has a device there, or would have one. */
  hasAt(place: Place): boolean {
    for (const declaration of this.#devices.values()) if (isAt(declaration, place)) return true
    return this.#patterns.some(({ pattern }) => isAt(this.#whole(pattern, undefined), place))
  }

  #whole(device: string, own: Declaration | undefined): Declaration {
    let whole = own ?? NOTHING
    for (const { pattern, declaration } of this.#patterns) {
      if (!namesDevice(pattern, device)) continue
      const labels = { ...declaration.labels, ...whole.labels }
      const streams = whole.streams.length > 0 ? whole.streams : declaration.streams
      whole = { ...declaration, ...whole, labels, streams }
    }
    return whole
  }
}

/** Whether what files say of a device has it there. */
export function isAt(declaration: Declaration | undefined, { site, labels }: Place): boolean {
  if (declaration === undefined || (site !== undefined && declaration.site !== site)) return false
  const { labels: own } = declaration
  return Object.entries(labels).every(([name, value]) => Object.hasOwn(own, name) && own[name] === value)
}

const refuse = ({ file, line }: DeclaredEntry, what: string): never => {
  throw new ConfigError(file, line, what)
}

/** The devices that an entry without a user is of. Throws a `ConfigError`. */
export function readDevices(item: ConfigValue, keys: ReadonlyMap<string, ConfigValue>): readonly string[] {
  const [one, list] = [keys.get('device'), keys.get('devices')]
  if (one !== undefined && list !== undefined) item.refuse('it has both device and devices; one is right')
  const named = one === undefined ? list?.list('devices') : [one]
  if (named === undefined || named.length === 0)
    return item.refuse('it names no device: right is device, devices, or user')
  return named.map((each) => {
    const device = each.text('a device')
    if (isDevicePattern(device)) return device
    return each.refuse(
      `${each.shown} is no device id, nor the beginning of some with a * behind: allowed are 1 to 64 of A-Z a-z 0-9 . _ : -`,
    )
  })
}

/** What an entry says of its devices. Throws a `ConfigError`. */
export function readDeclaration(keys: ReadonlyMap<string, ConfigValue>): Declaration {
  const site = keys.get('site')
  const interval = keys.get('interval')
  return {
    ...(site !== undefined && { site: readSite(site) }),
    labels: readLabels(keys.get('labels')),
    streams: readStreams(keys.get('streams')),
    ...(interval !== undefined && { intervalMs: readInterval(interval) }),
  }
}

/** Throws a `ConfigError`. */
export const readSite = (given: ConfigValue): string => readText('site', given)

/** Throws a `ConfigError`. */
export function readLabels(given: ConfigValue | undefined): Record<string, string> {
  if (given === undefined) return {}
  const labels = [...given.entries('labels')].map(([name, value]) => {
    if (!LABEL_NAME.test(name))
      value.refuse(
        `${JSON.stringify(name)} is no name of a label: it begins with a letter, and has letters, digits, . _ - behind`,
      )
    return [name, readText(`the label ${name}`, value)] as const
  })
  if (labels.length > LABELS_MAX) given.refuse(`there are ${labels.length} labels; allowed are ${LABELS_MAX}`)
  return Object.fromEntries(labels)
}

/** A number or a boolean is the text that is written. */
function readText(what: string, given: ConfigValue): string {
  const { scalar } = given
  const text = typeof scalar === 'number' || typeof scalar === 'boolean' ? String(scalar) : given.text(what)
  if (text.length > TEXT_CHARACTERS_MAX || /\p{Cc}/u.test(text))
    given.refuse(`${what} is longer than ${TEXT_CHARACTERS_MAX} characters, or has control characters`)
  return text
}

function readStreams(given: ConfigValue | undefined): readonly string[] {
  const streams = (given?.list('streams') ?? []).map((each) => {
    const stream = each.text('a stream')
    return isStreamName(stream)
      ? stream
      : each.refuse(`${each.shown} is no stream: a-z first, then a-z 0-9 _, 64 at most`)
  })
  if (streams.length > STREAMS_MAX) given?.refuse(`there are ${streams.length} streams; allowed are ${STREAMS_MAX}`)
  return [...new Set(streams)]
}

function readInterval(given: ConfigValue): number {
  const ms = typeof given.scalar === 'string' ? parseDuration(given.scalar) : undefined
  if (ms !== undefined && ms >= INTERVAL_MS_MIN && ms <= INTERVAL_MS_MAX) return ms
  const [min, max] = [INTERVAL_MS_MIN, INTERVAL_MS_MAX].map(formatDuration)
  return given.refuse(`the interval is ${given.shown}; a duration from ${min} to ${max} is right, such as 10s, 5m, 1h`)
}
