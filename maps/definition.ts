/**
 * Owns what a map may say (docs/maps.md): one item of a file in `config/maps`, checked.
 *
 * Always true of a `MapDefinition`: its topic, paths, columns and times can be used; what is wrong with one is told by a
 * `ConfigError` with file and line. Bounds: `MAP_COLUMNS_MAX` columns, `GATHER_MS_MIN` to `GATHER_MS_MAX`.
 */

import type { ConfigValue } from '../platform/config-file.ts'
import { STREAM_NAME_CHARS_MAX } from '../platform/limits.ts'
import { parseDuration } from '../platform/units.ts'
import type { ColumnKind } from '../schemas/reading.ts'
import { type Path, parsePath } from './path.ts'
import { isSparkplug } from './sparkplug/topic.ts'
import { Zone } from './time.ts'
import { TopicPattern } from './topic-pattern.ts'
import { unitFault } from './unit.ts'

/** Columns of one map, tags among them. */
export const MAP_COLUMNS_MAX = 256
/** A window is shorter or longer: refused. What waits for the store while one is open grows with it. */
const GATHER_MS_MIN = 100
export const GATHER_MS_MAX = 60_000

/** A column, and where its value comes from. */
export interface Rule {
  readonly column: string
  /** Undefined: by what stream it is decided. */
  readonly kind: ColumnKind | undefined
  readonly tag: boolean
  readonly unit: string | undefined
  readonly from: Source
  readonly factor: number
  readonly offset: number
  readonly where: ConfigValue
}

/** A path of the payload, or a template of names. */
export type Source = { readonly path: Path } | { readonly template: Template }

/** Text with names of the topic in it, `{app}-{device}`; a name that the topic has not is a path of the payload. */
export interface Template {
  readonly text: string
  readonly parts: readonly (string | { readonly name: string })[]
}

export interface MapDefinition {
  readonly where: ConfigValue
  readonly topic: TopicPattern
  /** Nothing of what comes on its topics is kept. */
  readonly ignoresAll: boolean
  readonly device: Template
  readonly stream: string
  readonly format: 'json' | 'influx' | 'sparkplug'
  /** Of one value a topic: where it stands in the payload; empty for the payload itself. */
  readonly value: Path
  readonly time: { readonly path: Path; readonly zone: Zone | undefined } | undefined
  /** Named ones. */
  readonly fields: readonly Rule[]
  /** All numbers below this path are taken besides; undefined if none are. */
  readonly all: Path | undefined
  readonly tags: readonly Rule[]
  readonly ignore: readonly Path[]
  /** Values that say that there is none. */
  readonly none: ReadonlySet<unknown>
  /** Undefined: each message is a reading. */
  readonly gatherMs: number | undefined
  /** What is done with a message that is retained, and with one without a payload. */
  readonly retained: 'take' | 'leave'
  readonly empty: 'take' | 'leave'
}

const KEYS = [
  'topic',
  'device',
  'stream',
  'format',
  'value',
  'time',
  'fields',
  'tags',
  'ignore',
  'none',
  'gather',
  'retained',
  'empty',
]
const RULE_KEYS = ['path', 'factor', 'offset', 'unit', 'type']
const STREAM_NAME = new RegExp(`^[a-z][a-z0-9_]{0,${STREAM_NAME_CHARS_MAX - 1}}$`)
const COLUMN_NAME = /^[A-Za-z][A-Za-z0-9_]{0,63}$/
const RESERVED = ['device', 'time']
const KINDS = { number: 'float', integer: 'integer', boolean: 'boolean', string: 'string' } as const
/** Of Sparkplug the topic says it (`sparkplug/topic.ts`). */
const NOT_TOLD: Template = { text: '', parts: [] }
/** In place of a column: all numbers below a path. */
const ALL = '*'
const NAME = /\{([A-Za-z][A-Za-z0-9_.]*)\}/

/** Throws a `ConfigError`. */
export function defineMap(item: ConfigValue): MapDefinition {
  const keys = item.entries('a map', KEYS)
  const topicAt = keys.get('topic') ?? item.refuse('it has no topic')
  const topic = TopicPattern.parse(topicAt.text('topic'))
  if (typeof topic === 'string') return topicAt.refuse(`topic ${topicAt.shown}: ${topic}`)
  const ignoresAll = keys.get('ignore')?.scalar === 'all'
  if (ignoresAll) {
    const [other] = [...keys].filter(([key]) => key !== 'topic' && key !== 'ignore')
    if (other !== undefined) other[1].refuse(`${other[0]} has no effect where all is ignored`)
  }
  const isOneValue = topic.names.includes('field')
  const { fields, all } = readFields(keys.get('fields'))
  const tags = keys.get('tags') === undefined ? [] : readTags(keys.get('tags') as ConfigValue)
  checkColumns([...fields, ...tags])
  const format = keys.get('format')?.oneOf('format', ['json', 'influx', 'sparkplug']) ?? 'json'
  const isOfSparkplug = format === 'sparkplug'
  if (isOfSparkplug !== isSparkplug(topic.text) && !ignoresAll) {
    topicAt.refuse('topics that begin with spBv1.0/ and format: sparkplug belong together')
  }
  if (isOfSparkplug && !/^spBv1\.0\/([^/#]+\/\+\/|#$)/.test(topic.text)) {
    topicAt.refuse(
      'its third level is the kind of message, births and data alike: right is spBv1.0/{group}/+/{node}/{device}',
    )
  }
  const only = (key: string, isRight: boolean, why: string) => {
    if (!isRight) keys.get(key)?.refuse(why)
  }
  only('value', isOneValue, 'value is for topics with {field} in them: one value a topic')
  only('gather', isOneValue, 'gather is for topics with {field} in them: one value a topic')
  only('time', keys.get('gather') === undefined, 'what is gathered has the time at which it was received')
  only('format', format === 'json' || !isOneValue, 'only JSON is one value a topic')
  only('time', !isOfSparkplug, 'a metric of Sparkplug has its own time')
  if (isOfSparkplug && all !== undefined && all.length > 0)
    keys.get('fields')?.refuse('metrics have names, and no paths')
  only('ignore', ignoresAll || all !== undefined, 'ignore has no effect beside fields, which say what is taken')
  return {
    where: item,
    topic,
    ignoresAll,
    device: ignoresAll ? NOT_TOLD : readDevice(keys.get('device'), topicAt, topic, isOfSparkplug),
    stream: ignoresAll ? '' : readStream(keys.get('stream') ?? item.refuse('it has no stream')),
    format,
    value: keys.get('value') === undefined ? [] : readPath(keys.get('value') as ConfigValue),
    time: keys.get('time') && readTimeRule(keys.get('time') as ConfigValue),
    fields: isOfSparkplug ? fields.map(ofMetric) : fields,
    all,
    tags: isOfSparkplug ? tags.map(ofMetric) : tags,
    ignore: ignoresAll
      ? []
      : (keys
          .get('ignore')
          ?.list('ignore')
          .map(readPath)
          .map(isOfSparkplug ? metricPath : same) ?? []),
    none: new Set(
      keys
        .get('none')
        ?.list('none')
        .map((each) => each.scalar),
    ),
    gatherMs: keys.get('gather') && readGather(keys.get('gather') as ConfigValue),
    retained: keys.get('retained')?.oneOf('retained', ['take', 'leave']) ?? 'take',
    empty: keys.get('empty')?.oneOf('empty', ['take', 'leave']) ?? 'leave',
  }
}

export function parseTemplate(text: string): Template {
  return {
    text,
    parts: text
      .split(/(\{[A-Za-z][A-Za-z0-9_.]*\})/)
      .filter((part) => part !== '')
      .map((part) => {
        const name = NAME.exec(part)?.[1]
        return name === undefined ? part : { name }
      }),
  }
}

/** The name of a metric may have dots in it, and is no path. */
const metricPath = (path: Path): Path => [path.join('.')]
const same = (path: Path): Path => path
const ofMetric = (rule: Rule): Rule =>
  'path' in rule.from ? { ...rule, from: { path: metricPath(rule.from.path) } } : rule

function readDevice(
  given: ConfigValue | undefined,
  topicAt: ConfigValue,
  topic: TopicPattern,
  isOfSparkplug: boolean,
): Template {
  if (given !== undefined) return parseTemplate(given.text('device'))
  if (isOfSparkplug) return NOT_TOLD
  if (topic.names.includes('device')) return parseTemplate('{device}')
  return topicAt.refuse('nothing says which device it is of: right is {device} in the topic, or a key device')
}

function readStream(given: ConfigValue): string {
  const stream = given.text('stream')
  if (STREAM_NAME.test(stream)) return stream
  return given.refuse(`${given.shown} cannot be a stream: a name starts with a-z, then a-z, 0-9, _`)
}

function readPath(given: ConfigValue): Path {
  const scalar = typeof given.scalar === 'number' ? String(given.scalar) : given.text('a path')
  const path = parsePath(scalar)
  if (path.every((name) => name !== '')) return path
  return given.refuse(`${given.shown} is no path: right are names with dots between, or . for the payload itself`)
}

function readTimeRule(given: ConfigValue): MapDefinition['time'] {
  if (!given.isMap) return { path: readPath(given), zone: undefined }
  const keys = given.entries('time', ['path', 'zone'])
  const path = readPath(keys.get('path') ?? given.refuse('time has no path'))
  const zoneAt = keys.get('zone')
  if (zoneAt === undefined) return { path, zone: undefined }
  const zone = Zone.parse(zoneAt.text('zone'))
  return { path, zone: zone ?? zoneAt.refuse(`${zoneAt.shown} is no zone, such as Europe/Berlin or +02:00`) }
}

function readGather(given: ConfigValue): number {
  const ms = parseDuration(String(given.scalar))
  if (ms !== undefined && ms >= GATHER_MS_MIN && ms <= GATHER_MS_MAX && Number.isInteger(ms)) return ms
  return given.refuse(
    `gather is ${given.shown}; right is a duration from ${GATHER_MS_MIN}ms to ${GATHER_MS_MAX / 1000}s`,
  )
}

function readFields(given: ConfigValue | undefined): {
  readonly fields: readonly Rule[]
  readonly all: Path | undefined
} {
  if (given === undefined) return { fields: [], all: [] }
  const entries = given.entries('fields')
  const all = entries.get(ALL)
  const fields = [...entries].filter(([column]) => column !== ALL).map(([column, value]) => readRule(column, value))
  if (entries.size === 0) given.refuse('fields are none; leave it out for all numbers')
  return { fields, all: all && readPath(all) }
}

function readRule(column: string, value: ConfigValue): Rule {
  const plain = { kind: undefined, tag: false, unit: undefined, factor: 1, offset: 0, where: value }
  if (!value.isMap) {
    // `temperature:` alone is the value of that name.
    const path = value.scalar === null ? [column] : readPath(value)
    return { ...plain, column, from: { path } }
  }
  const keys = value.entries(column, RULE_KEYS)
  const type = keys.get('type')?.oneOf('type', ['number', 'integer', 'boolean', 'string'])
  const unit = keys.get('unit')?.text('unit')
  const fault = unit === undefined ? undefined : unitFault(unit)
  if (fault !== undefined) keys.get('unit')?.refuse(`the unit ${JSON.stringify(unit)} ${fault}`)
  const isNumber = type === undefined || type === 'number' || type === 'integer'
  for (const key of ['unit', 'factor', 'offset']) {
    if (!isNumber) keys.get(key)?.refuse(`${key} is for numbers, and ${column} is a ${type}`)
  }
  return {
    ...plain,
    column,
    kind: type && KINDS[type],
    unit,
    from: { path: keys.has('path') ? readPath(keys.get('path') as ConfigValue) : [column] },
    factor: keys.get('factor')?.number('factor') ?? 1,
    offset: keys.get('offset')?.number('offset') ?? 0,
  }
}

/** A tag is a path, or names of the topic in braces. */
function readTags(given: ConfigValue): readonly Rule[] {
  return [...given.entries('tags')].map(([column, value]) => {
    const text = value.scalar === null ? column : value.text('a tag')
    const from = text.includes('{') ? { template: parseTemplate(text) } : { path: parsePath(text) }
    return { column, kind: 'string', tag: true, unit: undefined, factor: 1, offset: 0, from, where: value }
  })
}

function checkColumns(rules: readonly Rule[]): void {
  const names = new Map<string, string>()
  for (const { column, where } of rules) {
    if (!COLUMN_NAME.test(column)) {
      where.refuse(`${JSON.stringify(column)} cannot be a column: a name starts with a letter, then letters, digits, _`)
    }
    if (RESERVED.includes(column.toLowerCase())) where.refuse(`every point has a ${column} already: name it otherwise`)
    const other = names.get(column.toLowerCase())
    if (other !== undefined) where.refuse(`${column} and ${other} are one column: case does not count`)
    names.set(column.toLowerCase(), column)
  }
  if (names.size > MAP_COLUMNS_MAX) rules[0]?.where.refuse(`it has more than ${MAP_COLUMNS_MAX} columns`)
}
