/**
 * Owns one map at work: which device and stream a message on one of its topics is of, and which readings its payload becomes.
 *
 * Always true: a message becomes readings or a `Rejection`, and nothing that it says throws; what a map takes is exact, refused, or left
 * out because the map says so.
 */

import { createHash } from 'node:crypto'
import type { ConfigValue } from '../platform/config-file.ts'
import { DEVICE_ID_CHARS_MAX } from '../platform/limits.ts'
import type { Definition } from '../schemas/definition.ts'
import { NewColumns } from '../schemas/foreign.ts'
import { JsonMapper } from '../schemas/json-mapper.ts'
import { type ColumnKind, type Part, type Reading, Rejection, type Value } from '../schemas/reading.ts'
import { itemOf } from '../schemas/record-mapper.ts'
import { quote, timeFault } from '../schemas/values.ts'
import { absence, NAMES_SHOWN, namesIn } from './absence.ts'
import { convert, PLAIN, textOf, Unfit } from './conversion.ts'
import type { MapDefinition, Rule, Source, Template } from './definition.ts'
import { factOf, HAS_COME, KIND_BY_DEFAULT, LEARNT_CHARS_MAX, type MadeStream, NEW } from './made-streams.ts'
import { beginsWith, columnOf, eachNumber, objectWith, type Path, parsePath, valueAt } from './path.ts'
import { type Item, readPayload } from './payload.ts'
import { type Context, NO_CONTEXT } from './sparkplug/context.ts'
import { itemsOf, type MetricFact } from './sparkplug/items.ts'
import { parseSparkplug, deviceIdOf as sparkplugDevice } from './sparkplug/topic.ts'
import { readTime } from './time.ts'
import type { TopicNames } from './topic-pattern.ts'

/** What a message is to a map whose topic it is on. */
export type Place =
  | { readonly kind: 'taken'; readonly device: string; readonly stream: string }
  /** The map says that nothing of it is kept. */
  | { readonly kind: 'left' }
  /** It says too little. */
  | { readonly kind: 'unplaced'; readonly why: string }

export interface MappedMessage {
  readonly topic: string
  /** Milliseconds since 1970-01-01T00:00Z. */
  readonly receivedAt: number
  readonly payload: Buffer
  /** Where it stands in the log: of messages without a time that were received at once it tells one from the other. */
  readonly offset?: number
  /** Of Sparkplug. */
  readonly context?: Context
}

/** The stream that readings are made for: registered, or made by maps. */
export type Target =
  | { readonly kind: 'registered'; readonly definition: Definition }
  | { readonly kind: 'made'; readonly stream: MadeStream }

interface Compiled {
  readonly rule: Rule
  readonly kind: ColumnKind
}

/** The map that is for a topic, and what the topic says by it. */
export interface Match {
  readonly map: TopicMap
  readonly names: TopicNames
}

export class TopicMap {
  readonly definition: MapDefinition
  readonly #target: Target
  readonly #earliest: number
  /** Tags first. */
  readonly #rules: readonly Compiled[]
  readonly #mapper: JsonMapper | undefined
  /** A payload may be text; not where all that is named stands in an object. */
  readonly #takesText: boolean
  /** What a message of one value is, if such are gathered. */
  readonly #part: Part | undefined
  /** Where all metrics of Sparkplug are taken: those that a field has, and those that are ignored. */
  readonly #leftMetrics: ReadonlySet<string | undefined>

  /** Throws a `ConfigError` if the stream's schema has no such columns. `earliest`: no reading's time is before it, milliseconds. */
  constructor(definition: MapDefinition, target: Target, earliest: number) {
    this.definition = definition
    this.#target = target
    this.#earliest = earliest
    const { gatherMs: windowMs, where } = definition
    this.#part = windowMs === undefined ? undefined : { by: where.where, windowMs }
    const { topic, fields, all } = definition
    const isNamed =
      fields.length > 0 && all === undefined && fields.every(({ from }) => !('path' in from) || from.path.length > 0)
    this.#takesText = topic.names.includes('field') || !isNamed
    const own = [...definition.tags, ...definition.fields].flatMap(({ from }) => ('path' in from ? [from.path] : []))
    this.#leftMetrics = new Set([...definition.ignore, ...own].map(([name]) => name))
    this.#mapper = target.kind === 'registered' ? new JsonMapper(target.definition, earliest) : undefined
    this.#rules = [...definition.tags, ...definition.fields].map((rule) => ({
      rule,
      kind: target.kind === 'registered' ? kindIn(target.definition, rule) : (rule.kind ?? KIND_BY_DEFAULT),
    }))
  }

  match(topic: string): TopicNames | undefined {
    const names = this.definition.topic.match(topic)
    if (names === undefined || this.definition.format !== 'sparkplug') return names
    const parts = parseSparkplug(topic)
    if (parts === undefined) return undefined
    const { group, node, device } = parts
    return new Map([
      ['group', group],
      ['node', node],
      ['device', device ?? ''],
      ...names,
      [SPARKPLUG_ID, sparkplugDevice(parts)],
    ])
  }

  /** `names` is what `match` gave. */
  place(names: TopicNames, payload: Buffer, isRetained: boolean): Place {
    const { definition } = this
    if (definition.ignoresAll || (isRetained && definition.retained === 'leave')) return LEFT
    if (payload.length === 0 && definition.empty === 'leave') return LEFT
    if (!this.#wants(names)) return LEFT
    const device = this.#device(names, payload)
    if (typeof device !== 'string') return device
    return { kind: 'taken', device, stream: definition.stream }
  }

  /** The readings of a message; none if all that it says is left out. */
  read(names: TopicNames, device: string, message: MappedMessage): readonly Reading[] | Rejection {
    const items = this.#items(names, message)
    if (items instanceof Rejection) return items
    const readings: Reading[] = []
    for (const [index, item] of items.entries()) {
      const read = this.#read(item, names, device, message, index)
      if (read instanceof Rejection) {
        const isWhole = items.length === 1 || read instanceof NewColumns
        return isWhole ? read : new Rejection(read.code, () => itemOf(index, items.length) + read.reason)
      }
      if (read !== undefined) readings.push(read)
    }
    return readings
  }

  #items(names: TopicNames, { payload, receivedAt, context = NO_CONTEXT }: MappedMessage): readonly Item[] | Rejection {
    const { format } = this.definition
    if (format !== 'sparkplug') return readPayload(payload, format, names.has('field'), this.#takesText)
    const items = itemsOf(payload, context)
    if (items instanceof Rejection) return items
    // Before columns are learnt: a message that is refused must leave none.
    for (const { at } of items) {
      const wrong = at && timeFault(at.ms, 'ms', receivedAt, this.#earliest)
      if (wrong !== undefined) return new Rejection('bad-timestamp', `a metric's time ${wrong}`)
    }
    // All at once: each look for new columns takes another registry.
    return this.#newColumns(items.flatMap(({ facts }) => facts)) ?? items
  }

  #newColumns(facts: readonly MetricFact[]): Rejection | undefined {
    const target = this.#target
    if (target.kind !== 'made' || this.definition.all === undefined) return undefined
    const fresh = facts.filter((fact) => !this.#leftMetrics.has(fact.name) && target.stream.metricColumn(fact) === NEW)
    if (fresh.length === 0 && (target.stream.hasCome || facts.length > 0)) return undefined
    const names = new Set(
      fresh.filter((fact) => !target.stream.hasMetric(fact)).map(({ kind, name }) => `${name} (${kind})`),
    )
    const long = fresh.find(({ name }) => columnOf([name]).length > LEARNT_CHARS_MAX)
    if (long !== undefined) return tooLong(long.name)
    return this.#learning([...names], [HAS_COME, ...new Set(fresh.map(factOf))])
  }

  #addMetrics(facts: readonly MetricFact[], values: Record<string, Value>): number | Rejection {
    const { none, stream } = this.definition
    const target = this.#target
    let count = 0
    for (const fact of facts) {
      if (none.has(fact.value) || this.#leftMetrics.has(fact.name)) continue
      const column = target.kind === 'made' ? target.stream.metricColumn(fact) : this.#column(columnOf([fact.name]))
      if (typeof column !== 'string') {
        return new Rejection(
          'invalid-reading',
          `${quote(fact.name)} cannot be a column of ${stream} any more: name its metrics in a map`,
        )
      }
      values[column] = fact.value
      count++
    }
    return count
  }

  /** What the map looks for in a message and does not find, each as a sentence; of one value a topic, and of Sparkplug, all but one may be. */
  missing(names: TopicNames, message: MappedMessage): readonly string[] {
    const items = names.has('field') ? [] : this.#items(names, message)
    const [item] = items instanceof Rejection ? [] : items
    if (item === undefined || item.facts !== undefined) return []
    const { root } = item
    return this.#rules.flatMap(({ rule: { column, from } }) => {
      if ('path' in from)
        return valueAt(root, from.path) === undefined ? [`${column}: ${absence(root, from.path)}`] : []
      return from.template.parts.flatMap((part) => {
        if (typeof part === 'string' || names.has(part.name)) return []
        const path = parsePath(part.name)
        const isThere = valueAt(root, path) !== undefined
        return isThere ? [] : [`${column}: the topic has no name ${part.name}, and there is ${absence(root, path)}`]
      })
    })
  }

  /** What a message of one value adds to a reading that is gathered; undefined if that is left out. */
  partOf(names: TopicNames, { payload }: MappedMessage): Readonly<Record<string, Value>> | Rejection | undefined {
    const items = readPayload(payload, 'json', true)
    const [item] = items instanceof Rejection ? [] : items
    if (items instanceof Rejection || item === undefined) return items as Rejection
    const root = this.#root(item, names)
    return root instanceof Rejection ? root : this.#values(root, names, item)
  }

  /** The reading of what was gathered: `{ micros, values }` as JSON. */
  gathered(payload: Buffer, device: string, receivedAt: number): readonly Reading[] | Rejection {
    let given: { readonly micros: number; readonly values: Readonly<Record<string, Value>> }
    try {
      given = JSON.parse(payload.toString('utf8'))
    } catch {
      return new Rejection('malformed-json', 'it is not what was gathered')
    }
    if (this.definition.all !== undefined) {
      const fresh = Object.keys(given.values).filter((name) => this.#column(name) === NEW)
      if (fresh.length > 0) return this.#learning(fresh)
    }
    const values: Record<string, Value> = {}
    for (const [column, value] of Object.entries(given.values)) {
      const now = this.#regathered(column, value)
      if (now instanceof Unfit) return new Rejection('invalid-reading', `${column} ${now.what}`)
      if (now !== undefined) values[column] = now
    }
    const { tags } = this.definition
    if (Object.keys(values).every((name) => tags.some(({ column }) => column === name))) return []
    const reading = this.reading(values, device, receivedAt, given.micros)
    return reading instanceof Rejection ? reading : [reading]
  }

  /**
   * A gathered value in its column as that is now: it was converted when it came, by a map that may have said otherwise. Text is what the
   * payload had, and is read as any; of anything else that is not known any more. Undefined if it is left out.
   */
  #regathered(column: string, value: Value): Value | Unfit | undefined {
    const compiled = this.#rules.find(({ rule }) => rule.column === column)
    if (compiled === undefined) {
      if (this.definition.all !== undefined && this.#column(column) !== undefined && typeof value === 'number')
        return value
      return new Unfit('was gathered, and is no column of the map any more')
    }
    const { rule, kind } = compiled
    if (this.definition.none.has(value)) return undefined
    if (typeof value === 'string') return convert(value, kind, rule.tag, rule)
    if (Array.isArray(value)) return convert(value, kind, false, PLAIN)
    if (typeof value === 'boolean' && kind === 'boolean') return value
    if (typeof value === 'number' && (kind === 'float' || kind === 'integer')) return convert(value, kind, false, PLAIN)
    return new Unfit(
      `was gathered as ${value}, and is of type ${kind} now: what the payload said of it is not known any more`,
    )
  }

  /** The time of a message that says none. */
  receivedMicros(receivedAt: number, offset: number): number {
    return receivedMicros(receivedAt, offset)
  }

  /** Of one value a topic: whether the map has a use for the one on this. */
  #wants(names: TopicNames): boolean {
    const field = names.get('field')
    if (field === undefined) return true
    const path = field.split('/')
    const { fields, all, ignore } = this.definition
    if (fields.some(({ from }) => 'path' in from && beginsWith(from.path, path))) return true
    const isBelow = all !== undefined && (beginsWith(path, all) || beginsWith(all, path))
    return isBelow && !ignore.some((ignored) => beginsWith(path, ignored))
  }

  #device(names: TopicNames, payload: Buffer): string | Place {
    const { device } = this.definition
    const ofSparkplug = names.get(SPARKPLUG_ID)
    if (ofSparkplug !== undefined && device.parts.length === 0) return ofSparkplug
    const inTopic = fill(device, (name) => names.get(name))
    if (inTopic !== undefined) return deviceIdOf(inTopic)
    const { format } = this.definition
    const items = format === 'sparkplug' ? [] : readPayload(payload, format, false)
    const root = items instanceof Rejection ? undefined : items[0]?.root
    const found = fill(device, (name) => names.get(name) ?? nameOf(valueAt(root, parsePath(name))))
    if (found !== undefined) return deviceIdOf(found)
    const where = format === 'sparkplug' ? 'its topic' : 'the payload'
    return { kind: 'unplaced', why: `${where} does not say which device it is of: ${device.text}` }
  }

  #read(
    item: Item,
    names: TopicNames,
    device: string,
    message: MappedMessage,
    index: number,
  ): Reading | Rejection | undefined {
    const root = this.#root(item, names)
    if (root instanceof Rejection) return root
    const values = this.#values(root, names, item)
    if (values === undefined || values instanceof Rejection) return values
    const micros = this.#time(item, message, index)
    if (micros instanceof Rejection) return micros
    const reading = this.reading(values, device, message.receivedAt, micros)
    return this.#part === undefined || reading instanceof Rejection ? reading : { ...reading, part: this.#part }
  }

  /** A reading of these values; `micros` is its time. */
  reading(
    values: Readonly<Record<string, Value>>,
    device: string,
    receivedAt: number,
    micros: number,
  ): Reading | Rejection {
    const target = this.#target
    if (target.kind === 'made') return { device, stream: target.stream.name, ts: micros / 1000, values }
    const { timeField, precision } = target.definition
    const given = { ...values, [timeField]: precision === 'us' ? micros : Math.floor(micros / 1000) }
    const readings = this.#mapper?.map(given, { device, receivedAt })
    if (readings === undefined || readings instanceof Rejection) return readings as Rejection
    return readings[0] as Reading
  }

  /** What paths lead into: of one value a topic an object in which it stands where its topic says. */
  #root({ root }: Item, names: TopicNames): unknown {
    const field = names.get('field')
    if (field === undefined) return root
    const { value: path } = this.definition
    const value = valueAt(root, path)
    if (value !== undefined) return objectWith(field.split('/'), value)
    return new Rejection('invalid-reading', () => `there is no ${path.join('.')} in it; it has ${namesIn(root)}`)
  }

  /** Undefined if what there is is left out. */
  #values(root: unknown, names: TopicNames, { facts }: Item): Readonly<Record<string, Value>> | Rejection | undefined {
    const { none, fields, all } = this.definition
    const values: Record<string, Value> = {}
    let isThere = false
    let count = 0
    for (const { rule, kind } of this.#rules) {
      const raw = sourceOf(rule.from, root, names)
      if (raw === undefined) continue
      if (!rule.tag) isThere = true
      if (raw === null || none.has(raw)) continue
      const value = convert(raw, kind, rule.tag, rule)
      if (value instanceof Unfit) return new Rejection('invalid-reading', `${rule.column} ${value.what}`)
      if (rule.tag && value === '') continue
      values[rule.column] = value
      if (!rule.tag) count++
    }
    if (all !== undefined) {
      const others = facts ? this.#addMetrics(facts, values) : this.#addNumbers(root, all, values)
      if (others instanceof Rejection) return others
      return count + others > 0 ? values : undefined
    }
    if (count > 0) return values
    // A message of Sparkplug has what has changed.
    if (isThere || facts !== undefined) return undefined
    const wanted = fields.map(({ column, from }) => `${column} from ${'path' in from ? from.path.join('.') : ''}`)
    return new Rejection(
      'invalid-reading',
      () =>
        `it has nothing that the map takes, which is ${wanted.slice(0, NAMES_SHOWN).join(', ')}; it has ${namesIn(root)}`,
    )
  }

  /** Adds all numbers below a path to `values`; how many there were. */
  #addNumbers(root: unknown, below: Path, values: Record<string, Value>): number | Rejection {
    const { ignore, time, tags, fields, none } = this.definition
    const left: Path[] = [...ignore, ...(time === undefined ? [] : [time.path])]
    for (const { from } of [...tags, ...fields]) if ('path' in from) left.push(from.path)
    const isLeft = (path: Path) => left.some((each) => each.length === path.length && beginsWith(path, each))
    const from = new Map<string, Path>()
    const fresh: string[] = []
    for (const { column, from: own } of [...tags, ...fields])
      from.set(column.toLowerCase(), 'path' in own ? own.path : [])
    let count = 0
    let fault: string | undefined
    const visit = (path: Path, number: number) => {
      if (none.has(number) || fault !== undefined) return
      const name = columnOf(path.slice(below.length))
      const known = from.get(name.toLowerCase())
      if (known !== undefined)
        fault = `${known.join('.')} and ${path.join('.')} would both be the column ${name}: name them under fields`
      from.set(name.toLowerCase(), path)
      const column = this.#column(name)
      if (column === undefined) fault ??= `${path.join('.')} cannot be a column of ${this.definition.stream} any more`
      else if (!Number.isFinite(number)) fault ??= `${path.join('.')} is ${number}; a number is right`
      else if (column === NEW && name.length > LEARNT_CHARS_MAX) fault ??= tooLong(path.join('.')).reason
      else if (column === NEW) fresh.push(name)
      else {
        values[column] = number === 0 ? 0 : number
        count++
      }
    }
    eachNumber(valueAt(root, below), isLeft, visit, below)
    if (fault !== undefined) return new Rejection('invalid-reading', fault)
    return fresh.length === 0 ? count : this.#learning(fresh)
  }

  /** All of them, or none: a message with more than there is room for takes no room. */
  #learning(names: readonly string[], learnt = names): Rejection {
    const { stream } = this.definition
    const room = this.#target.kind === 'made' ? this.#target.stream.room : 0
    if (names.length <= room) return new NewColumns(stream, learnt)
    const shown = names.slice(0, NAMES_SHOWN).join(', ')
    return new Rejection(
      'invalid-reading',
      `it has ${names.length} columns that ${stream} has not, as ${shown}, and there is room for ${room}: name under fields, or below a path there, what is wanted`,
    )
  }

  #column(name: string): string | typeof NEW | undefined {
    const target = this.#target
    if (target.kind === 'made') return target.stream.column(name)
    const { places } = target.definition
    return places.find(({ column }) => column.name === name)?.column.name
  }

  /** Microseconds. */
  #time({ root, time: given, at }: Item, { receivedAt, offset = 0 }: MappedMessage, index: number): number | Rejection {
    if (at !== undefined) return at.ms * 1000 + at.micros
    const { time } = this.definition
    const raw = time === undefined ? given : valueAt(root, time.path)
    if (time === undefined && given === undefined) return receivedMicros(receivedAt, offset + index)
    const micros = readTime(raw, time?.zone)
    const name = time?.path.join('.') ?? 'its time'
    if (raw === undefined && time !== undefined) {
      return new Rejection('bad-timestamp', () => `its time is missing: ${absence(root, time.path)}`)
    }
    if (micros === undefined) {
      return new Rejection('bad-timestamp', `${name} is ${quote(raw)}; ISO 8601, or a number since 1970, is right`)
    }
    const fault = timeFault(micros, 'us', receivedAt, this.#earliest)
    return fault === undefined ? micros : new Rejection('bad-timestamp', `${name} ${fault}`)
  }
}

const tooLong = (name: string) =>
  new Rejection(
    'invalid-reading',
    `${quote(name)} is too long for a column, which has at most ${LEARNT_CHARS_MAX} characters: name it under fields`,
  )

const LEFT: Place = { kind: 'left' }
/** Among the names of a topic of Sparkplug: the device that it is of. No name of a pattern is so. */
const SPARKPLUG_ID = 'sparkplug.id'

/** When a message was received, and by its place in the log another microsecond than the next one. */
export const receivedMicros = (receivedAt: number, offset: number): number =>
  Math.floor(receivedAt) * 1000 + (offset % 1000)

/**
 * A name of the outside as a device id. What no id may have in it becomes `_`, and then a few digits of the name's hash follow, so
 * that two names are never one device.
 */
function deviceIdOf(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9._:-]/g, '_')
  if (plain === name && name.length <= DEVICE_ID_CHARS_MAX) return name
  const digits = createHash('sha256').update(name).digest('hex').slice(0, 8)
  return `${plain.slice(0, DEVICE_ID_CHARS_MAX - digits.length - 1)}-${digits}`
}

function fill({ parts }: Template, named: (name: string) => string | undefined): string | undefined {
  let text = ''
  for (const part of parts) {
    const value = typeof part === 'string' ? part : named(part.name)
    if (value === undefined || value === '') return undefined
    text += value
  }
  return text
}

function sourceOf(from: Source, root: unknown, names: TopicNames): unknown {
  if ('path' in from) return valueAt(root, from.path)
  return fill(from.template, (name) => names.get(name) ?? nameOf(valueAt(root, parsePath(name))))
}

/** In a template; `true` names nothing. */
const nameOf = (value: unknown) => (typeof value === 'boolean' ? undefined : textOf(value))

function kindIn({ places, stream, version }: Definition, { column, kind, tag, where }: Rule): ColumnKind {
  const found = places.find((place) => place.column.name === column)?.column
  if (found === undefined) {
    const names = places.map((place) => place.column.name).join(', ')
    return refuse(where, `${column} is no column of ${stream} ${version}, which has ${names}`)
  }
  if (kind !== undefined && !tag && kind !== found.kind) {
    return refuse(where, `${column} is of type ${kind} here, and ${found.kind} in ${stream} ${version}`)
  }
  return found.kind
}

function refuse(where: ConfigValue, what: string): never {
  return where.refuse(what)
}
