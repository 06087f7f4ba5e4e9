/**
 * Owns what the tests of sources share: the shipped schemas as a site has them that uses every format, with a `.proto` of each stream's newest
 * version and a map to it; and sources with little said.
 */

import { SimulatorSchemas } from '../../../../devices/simulator/messages/simulator-schemas.ts'
import { type Source, sourceOf } from '../../../../devices/simulator/messages/source.ts'
import {
  FORMATS,
  type Format,
  type Group,
  PLAIN_SENDING,
  type Sending,
} from '../../../../devices/simulator/scenario/scenario.ts'
import { mapMaker } from '../../../../maps/maps.ts'
import type { Field, Shape } from '../../../../schemas/definition.ts'
import { messageName } from '../../../../schemas/protobuf-parse.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../../../schemas/registry.ts'
import { readSchemaFiles, type SchemaFile, type SchemaFiles } from '../../../../schemas/schema-files.ts'

export const SHIPPED = ['environment', 'power', 'vehicle', 'vibration'] as const
export type Shipped = (typeof SHIPPED)[number]
export const START_AT = Date.UTC(2026, 5, 1, 6)
export { FORMATS }

const MAPS = `
- topic: plant/{device}/environment
  stream: environment
  time: at
  fields:
    temperature: { path: climate.t, factor: 0.1, offset: -40 }
    humidity: climate.h
    pressure: { path: p, factor: 0.01 }
    battery: { path: power.0.soc, factor: 100 }
    rssi: radio.1.rssi
- topic: plant/{device}/power
  stream: power
  time: at
  tags: { circuit: feeder }
  fields: { frequency: f, "*": meter }
- topic: plant/{device}/vehicle
  stream: vehicle
  time: gps.time
  tags: { fleet: "{owner}", driver: crew.driver }
- topic: plant/{device}/vibration
  stream: vibration
  time: { path: at, zone: Europe/Berlin }
  tags: { sensor: sensor, axis: axis }
- topic: tele/{device}/SENSOR
  stream: tasmota
  time: Time
- topic: shed/{device}
  stream: shed
  tags: { site: "{device}" }
  fields: { temperature: { path: t, unit: Cel }, open: { path: door, type: boolean }, state: { path: s, type: string } }
- topic: values/{device}/{field}
  stream: one_value
- topic: bay-{bay}/data
  device: "bay{bay}"
  stream: environment
- topic: kept/not
  ignore: all
`

/** The shipped schemas as they are, or with what else is there. */
export function schemasWith(changes: Partial<SchemaFiles> = {}): SimulatorSchemas {
  const shipped = readSchemaFiles(SHIPPED_SCHEMAS_DIR)
  return new SimulatorSchemas(Registry.of({ ...shipped, ...changes }, undefined, undefined, mapMaker()))
}

export const bareSchemas = (): SimulatorSchemas => new SimulatorSchemas(Registry.load(SHIPPED_SCHEMAS_DIR))

function protos(): SchemaFile[] {
  const registry = Registry.load(SHIPPED_SCHEMAS_DIR)
  return SHIPPED.flatMap((stream): SchemaFile[] => {
    const newest = registry.newest(stream)
    if (newest === undefined) return []
    const time = newest.precision === 'us' ? 'google.protobuf.Timestamp' : 'int64'
    const text = `syntax = "proto3"; package telltale; ${message(messageName(stream), newest.shape.fields, time)}`
    return [{ stream, version: newest.version, format: 'proto', text }]
  })
}

function message(name: string, fields: readonly Field[], time?: string): string {
  const inner = new Map<string, string>()
  const lines = fields.map(({ name: field, shape, nullBranch, tag, unit }, index) => {
    const isTime = time !== undefined && index === 0
    const type = isTime ? time : typeOf(shape, inner)
    const options = [...(tag ? ['(telltale.tag) = true'] : []), ...(unit ? [`(telltale.unit) = "${unit}"`] : [])]
    const optional = nullBranch === undefined || isTime ? '' : 'optional '
    return `${optional}${type} ${field} = ${index + 1}${options.length > 0 ? ` [${options.join(', ')}]` : ''};`
  })
  return `message ${name} { ${[...inner.values(), ...lines].join(' ')} }`
}

const PROTO: Readonly<Record<string, string>> = { int: 'sint32', long: 'int64', boolean: 'bool' }

function typeOf(shape: Shape, inner: Map<string, string>): string {
  if (shape.kind === 'record') {
    const name = messageName(shape.name.split('.').at(-1) ?? '')
    inner.set(name, message(name, shape.fields))
    return name
  }
  if (shape.kind !== 'enum') return PROTO[shape.kind] ?? shape.kind
  const values = shape.symbols.map((symbol, index) => `V_${symbol} = ${index} [(telltale.symbol) = "${symbol}"];`)
  inner.set('Symbols', `enum Symbols { ${values.join(' ')} }`)
  return 'Symbols'
}

const shipped = readSchemaFiles(SHIPPED_SCHEMAS_DIR)
export const siteFiles: SchemaFiles = {
  ...shipped,
  files: SHIPPED.flatMap((stream) => [...shipped.files, ...protos()].filter((file) => file.stream === stream)),
  maps: [{ file: 'site.yaml', text: MAPS }],
}

export const siteSchemas = schemasWith(siteFiles)

export interface Asked extends Partial<Sending> {
  readonly seed?: number
  readonly index?: number
  readonly device?: string
  readonly schemas?: SimulatorSchemas
  /** The sendings of its group besides it. */
  readonly beside?: readonly Sending[]
}

/** With a topic and an id as the format wants them. */
export function makeSource({
  seed = 7,
  index = 0,
  device,
  schemas = siteSchemas,
  beside = [],
  ...changes
}: Asked): Source {
  const { format = 'avro', stream = 'environment' } = changes
  const prefix = format === 'sparkplug' ? 'plant:node-' : 'sim-'
  const sending: Sending = {
    ...PLAIN_SENDING,
    stream,
    format,
    topic: format === 'map' ? `plant/{device}/${stream}` : undefined,
    ...changes,
  }
  const group: Group = { prefix, devices: 1, mqtt: '5', keepaliveSeconds: 60, sends: [sending, ...beside] }
  return sourceOf({ group, sending, device: device ?? `${prefix}${index + 1}`, index, seed }, { schemas })
}

export interface Case {
  readonly stream: Shipped
  readonly format: Format
  readonly batch: number
}

export const CASES: readonly Case[] = SHIPPED.flatMap((stream) =>
  FORMATS.flatMap((format) => [1, 5].map((batch): Case => ({ stream, format, batch }))),
)
