/**
 * Owns messages as an edge node of Sparkplug B 3.0 writes them: the births of each connection name the metrics, their aliases and datatypes;
 * data has aliases and what the metrics are now. A metric is a column; lists are none, and are left out.
 *
 *   device plant:node-1                                      NBIRTH, NDATA: the metrics are the edge node's
 *   and topic spBv1.0/plant/DDATA/{node}/press               NBIRTH, DBIRTH, DDATA: they are of its device, plant:node-1:press
 *
 * Always true: `seq` goes on from message to message, and begins with each birth; births tell no values, for those were told before. Times
 * are whole milliseconds. Readings of times that the platform has heard of before, or from before it started, it stores some microseconds
 * later; `read` knows of the first.
 */

import { type Context, inLog, type KnownMetric, type KnownMetrics, tell } from '../../../maps/sparkplug/context.ts'
import { readSparkplug, type SparkplugPayload } from '../../../maps/sparkplug/payload.ts'
import { nodeIdOf, parseSparkplug, type SparkplugTopic } from '../../../maps/sparkplug/topic.ts'
import type { Leaf } from '../../../schemas/definition.ts'
import { type Reading, Rejection } from '../../../schemas/reading.ts'
import { READING_AHEAD_MAX_MS } from '../../../schemas/values.ts'
import { columnsOf, isListColumn, recordValue } from './record-columns.ts'
import type { SentVersion } from './simulator-schemas.ts'
import { DATATYPE, type Datatype, type MetricWritten, writeSparkplug } from './sparkplug-payload.ts'
import { type Birth, type MeasuredRecord, notSendable, type WireFormat, type WireOptions } from './wire-format.ts'

const SEQUENCE = 256
const CONTROL = 'Node Control/Rebirth'

interface MetricColumn {
  readonly name: string
  readonly path: readonly string[]
  readonly alias: number
  readonly datatype: Datatype
  readonly unit: string | undefined
}

export const sparkplugFormat = (options: WireOptions): WireFormat => new SparkplugFormat(options)

class SparkplugFormat implements WireFormat {
  readonly topic: string
  readonly device: string | undefined
  readonly drawsJson = true
  readonly wholeMs = true
  readonly #place: SparkplugTopic
  readonly #options: WireOptions
  readonly #timeField: string
  readonly #unitsPerMs: number
  readonly #metrics: readonly MetricColumn[]
  readonly #known: KnownMetrics
  #seq = 0
  #births = 0
  /** The latest time that was spoken of, milliseconds. */
  #spokenMs: number | undefined
  /** Likewise as it was read, of the edge node and of its device. */
  readonly #heardMs = { node: Number.NEGATIVE_INFINITY, device: Number.NEGATIVE_INFINITY }

  constructor(options: WireOptions) {
    const { definition } = options.version
    this.#options = options
    const { topic, place } = placeOf(options)
    this.topic = topic
    this.device = options.schemas.deviceOn(topic)
    this.#place = place
    this.#timeField = definition.timeField
    this.#unitsPerMs = definition.precision === 'us' ? 1000 : 1
    const { metrics, known } = options.schemas.once(options.version, metricsOf)
    this.#metrics = metrics
    this.#known = known
  }

  birth(at: number): readonly Birth[] {
    const timestamp = Math.floor(at)
    // Of a time that data will not have: what a platform hears twice of one time it tells apart.
    const before = this.#spokenMs ?? Math.floor(at - this.#options.sending.everyMs) - 1
    const { device } = this.#place
    const metrics = this.#metrics.map(({ name, alias, datatype, unit }): MetricWritten => {
      return { name, alias, datatype, unit, timestamp: before, value: undefined }
    })
    this.#seq = 0
    const own: readonly MetricWritten[] = [
      { name: 'bdSeq', datatype: DATATYPE.int64, timestamp: before, value: this.#births++ % SEQUENCE },
      { name: CONTROL, datatype: DATATYPE.boolean, timestamp: before, value: false },
    ]
    const birth = (type: 'NBIRTH' | 'DBIRTH', said: readonly MetricWritten[]): Birth => ({
      topic: this.#topicOf(type),
      payload: writeSparkplug({ timestamp, seq: this.#nextSeq(), isBirth: true, metrics: said }),
    })
    if (device === undefined) return [birth('NBIRTH', [...own, ...metrics])]
    return [birth('NBIRTH', own), birth('DBIRTH', metrics)]
  }

  write(records: readonly MeasuredRecord[]): Buffer {
    const metrics: MetricWritten[] = []
    const timestamp = Math.floor(Number(records.at(-1)?.[this.#timeField]) / this.#unitsPerMs)
    for (const record of records) {
      const ms = Math.floor(Number(record[this.#timeField]) / this.#unitsPerMs)
      if (!(ms <= (this.#spokenMs ?? Number.NEGATIVE_INFINITY))) this.#spokenMs = ms
      for (const { alias, datatype, path } of this.#metrics) {
        const value = recordValue(record, path)
        metrics.push({ alias, datatype, value, timestamp: ms === timestamp ? undefined : ms })
      }
    }
    return writeSparkplug({ timestamp, seq: this.#nextSeq(), isBirth: false, metrics })
  }

  read(topic: string, payload: Buffer, receivedAt: number): readonly Reading[] | Rejection {
    const { schemas } = this.#options
    const place = parseSparkplug(topic)
    if (place === undefined) return schemas.read(topic, payload, receivedAt)
    if (payload.length === 0) return []
    const read = readSparkplug(payload)
    const context = read instanceof Rejection ? {} : this.#contextOf(place, read, receivedAt)
    return schemas.readSparkplug(topic, inLog(topic, context, payload), receivedAt)
  }

  #nextSeq(): number {
    const seq = this.#seq
    this.#seq = (seq + 1) % SEQUENCE
    return seq
  }

  #topicOf(type: string): string {
    const { group, node, device } = this.#place
    return `spBv1.0/${group}/${type}/${node}${type.startsWith('N') ? '' : `/${device}`}`
  }

  /** What the platform keeps beside the message when it comes. */
  #contextOf({ type, device }: SparkplugTopic, payload: SparkplugPayload, receivedAt: number): Context {
    const tie = this.#tie(device === undefined ? 'node' : 'device', payload, receivedAt)
    const { told } = tell(payload, this.#known)
    return type === 'NBIRTH' || told.length === 0 ? tie : { m: told, ...tie }
  }

  #tie(whose: 'node' | 'device', { seq = 0, timestamp, metrics }: SparkplugPayload, receivedAt: number): Context {
    const before = this.#heardMs[whose]
    let isTied = false
    let isLater = false
    for (const { timestamp: ms = timestamp } of metrics) {
      if (ms === undefined) continue
      if (ms > before) isLater = true
      else isTied = true
      if (ms > this.#heardMs[whose] && ms <= receivedAt + READING_AHEAD_MAX_MS) this.#heardMs[whose] = ms
    }
    if (!isTied && isLater) return {}
    const t = (seq % SEQUENCE) + 1
    return isTied && isLater ? { t, l: before } : { t }
  }
}

/** Throws a `SimulatorError` where the device is no edge node, or the topic is not its. */
function placeOf({ group, sending, device, schemas }: WireOptions): { topic: string; place: SparkplugTopic } {
  if (schemas.registry.foreign === undefined) {
    throw notSendable('format sparkplug needs the schemas together with the maps')
  }
  if (group.sends.filter(({ format }) => format === 'sparkplug').length > 1) {
    throw notSendable(`${device} sends Sparkplug twice; an edge node has one sequence: put all columns into one stream`)
  }
  const [name, node, ...more] = device.split(':')
  if (name === undefined || node === undefined || more.length > 0) {
    throw notSendable(`${device} is no edge node of Sparkplug: right is a prefix {group}:{node}, such as plant:node-`)
  }
  const topic = (sending.topic ?? `spBv1.0/${name}/NDATA/{node}`).replaceAll('{node}', node)
  const place = parseSparkplug(topic)
  const isData = place?.type === 'NDATA' || place?.type === 'DDATA'
  if (place === undefined || !isData || nodeIdOf(place) !== device) {
    throw notSendable(
      `${topic} is no topic on which ${device} sends data: right are spBv1.0/${name}/NDATA/{node} and spBv1.0/${name}/DDATA/{node}/<device>`,
    )
  }
  return { topic, place }
}

function datatypeOf({ kind }: Leaf): Datatype {
  switch (kind) {
    case 'int':
      return DATATYPE.int32
    case 'long':
      return DATATYPE.int64
    case 'float':
      return DATATYPE.float
    case 'double':
    case 'decimal':
      return DATATYPE.double
    case 'boolean':
      return DATATYPE.boolean
    default:
      return DATATYPE.string
  }
}

/** Of a version, for all devices that send it. */
function metricsOf({ definition }: SentVersion): {
  readonly metrics: readonly MetricColumn[]
  readonly known: KnownMetrics
} {
  const columns = columnsOf(definition).filter((each) => !isListColumn(each))
  const metrics = columns.map(({ column: { name, unit }, path, leaf }, index): MetricColumn => {
    return { name, path, alias: index + 1, datatype: datatypeOf(leaf), unit }
  })
  const known = metrics.map(({ name, datatype, unit }): KnownMetric => {
    return { name, datatype, ...(unit !== undefined && { unit }) }
  })
  const byName = new Map(known.map((each) => [each.name, each]))
  return { metrics, known: { byName: (name) => byName.get(name), byAlias: (alias) => known[alias - 1] } }
}
