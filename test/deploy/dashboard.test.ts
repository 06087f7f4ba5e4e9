/** The dashboard shows every column of every shipped stream, in its unit, by queries that a real InfluxDB answers. */

import assert from 'node:assert/strict'
import test from 'node:test'
import { parse } from 'yaml'
import { Lines, LineWriter } from '../../ingest/line-protocol.ts'
import type { Column, Stream, Value } from '../../schemas/reading.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { startInfluxdb2 } from '../servers/influxdb2.ts'
import { requireServer } from '../servers/server.ts'
import { readCompose, readText } from './compose-file.ts'
import { assertApart, filledIn, panelQueries, readDashboard } from './dashboard.ts'

/** Grafana's name of a UCUM unit (grafana/grafana, packages/grafana-data/src/valueFormats/categories.ts). */
const GRAFANA_UNITS: Readonly<Record<string, string>> = {
  '1': 'none',
  '%': 'percent',
  A: 'amp',
  Cel: 'celsius',
  dBm: 'dBm',
  deg: 'degree',
  hPa: 'pressurehpa',
  Hz: 'hertz',
  kg: 'masskg',
  'kW.h': 'kwatth',
  'L/h': 'litreh',
  m: 'lengthm',
  'm/s': 'velocityms',
  'm/s2': 'accMS2',
  'mm/s': 'suffix:mm/s',
  V: 'volt',
  W: 'watt',
}

/** UCUM has no var: the schema says volt-ampere, the panel says what it is. */
const unitOf = ({ name, unit }: Column) =>
  unit === 'V.A' && name.endsWith('reactive_power') ? 'voltampreact' : GRAFANA_UNITS[unit ?? '1']

const registry = Registry.load(SHIPPED_SCHEMAS_DIR)
const dashboard = readDashboard()
const queries = panelQueries(dashboard)
const source = parse(readText('deploy/grafana/datasources/influxdb.yml')).datasources[0]

const streamOf = (measurement: string): Stream => {
  const stream = registry.stream(measurement)
  assert(stream, `${measurement} is a stream`)
  return stream
}

test('every query names a stream, its fields and its tags, in the unit of the fields', () => {
  for (const { panel, text, measurement, fields, tags } of queries) {
    const { columns } = streamOf(measurement)
    assert(fields.length > 0, text)
    for (const field of fields) {
      const column = columns.find(({ name }) => name === field)
      assert(column && !column.tag, `${field} is a field of ${measurement}`)
      assert.equal(panel.fieldConfig?.defaults.unit, unitOf(column), `${panel.title}: the unit of ${field}`)
    }
    const known = new Set(['device', ...columns.filter(({ tag }) => tag).map(({ name }) => name)])
    for (const tag of tags) assert(known.has(tag), `${tag} is a tag of ${measurement}`)
  }
})

test('every field of every shipped stream is in a panel', () => {
  for (const { name, columns } of registry.streams) {
    const shown = queries.filter(({ measurement }) => measurement === name).flatMap(({ fields }) => fields)
    const fields = columns.filter(({ tag }) => !tag).map((column) => column.name)
    assert.deepEqual([...new Set(shown)].sort(), fields.sort(), name)
  }
})

test('every query reads the chosen devices and time only, and is bounded in series', () => {
  for (const { text } of queries) {
    assert.match(text, /WHERE \$timeFilter AND "device" =~ \/\^\$device\$\/ GROUP BY/)
    assert.match(text, / SLIMIT \d+$/)
  }
})

test('panels have their own ids and do not overlap', () => {
  assertApart(dashboard.panels)
})

test('panels ask the provisioned source, which is told no more than the container knows', () => {
  for (const { datasource } of dashboard.panels.flatMap(({ targets = [] }) => targets)) {
    assert.equal(datasource.uid, source.uid)
  }
  const secrets = { INFLUX_ADMIN_PASSWORD: 'a', INFLUX_ADMIN_TOKEN: 'b', GRAFANA_ADMIN_PASSWORD: 'c' }
  const environment = readCompose('docker-compose.yml', secrets).services.grafana?.environment ?? {}
  const named = [...JSON.stringify(source).matchAll(/\$([A-Z_]+)/g)].map(([, name = '']) => name)
  assert.deepEqual(named.sort(), ['INFLUX_BUCKET', 'INFLUX_TOKEN', 'INFLUX_URL'])
  for (const name of named) assert(name in environment, name)
})

test('a real InfluxDB 2.7 answers every query of the dashboard with the values written', async (t) => {
  const server = await requireServer(t, startInfluxdb2)
  if (server === undefined) return
  const now = 1_763_900_000_000
  const devices = ['truck-7', 'truck.8']
  const lines = registry.streams.flatMap((stream) => devices.map((device) => lineOf(stream, device, now)))
  const headers = { Authorization: `Token ${server.token}` }
  const write = `${server.url}/api/v2/write?org=${server.org}&bucket=${server.bucket}&precision=ns`
  const written = await fetch(write, { method: 'POST', headers, body: lines.join('\n') })
  assert.equal(written.status, 204, await written.text())

  // As Grafana sends it: the query in a form when the source says POST, else in the URL.
  assert.equal(source.jsonData.httpMode, 'POST')
  const ask = async (query: string): Promise<Series[]> => {
    const url = `${server.url}/query?db=${server.bucket}&epoch=ms`
    const answer = await fetch(url, { method: 'POST', headers, body: new URLSearchParams({ q: query }) })
    const { results } = (await answer.json()) as { results: { series?: Series[]; error?: string }[] }
    assert.equal(results[0]?.error, undefined, query)
    return results[0]?.series ?? []
  }

  for (const { text, measurement, fields, tags } of queries) {
    for (const [device, expected] of [
      ['.*', devices],
      ['(truck-7|truck\\.8)', devices],
      ['truck\\.8', ['truck.8']],
    ] as const) {
      const query = filledIn(text, { from: now - 60_000, to: now + 60_000, device })
      const series = await ask(query)
      assert.deepEqual(series.map((one) => one.tags.device).sort(), [...expected], query)
      for (const one of series) {
        for (const tag of tags) assert(one.tags[tag], `${query} is grouped by ${tag}`)
        const values = one.values.at(-1)?.slice(1)
        const columns = streamOf(measurement).columns
        assert.deepEqual(
          values,
          fields.map((field) => valueAt(columns, field)),
          query,
        )
      }
    }
  }

  const [variable] = dashboard.templating.list
  const choices = await ask(variable?.query ?? '')
  assert.deepEqual([...new Set(choices.flatMap(({ values }) => values.map(([, value]) => value)))].sort(), devices)
})

interface Series {
  readonly tags: Readonly<Record<string, string>>
  readonly values: readonly (readonly unknown[])[]
}

/** A value by the column's place, so that a query that reads the wrong column is seen. */
function valueAt(columns: readonly Column[], name: string): Value {
  const place = columns.findIndex((column) => column.name === name)
  const kind = columns[place]?.kind
  if (kind === 'string') return 'x'
  return kind === 'boolean' ? true : kind === 'integer' ? place : place + 0.5
}

function lineOf(stream: Stream, device: string, ts: number): string {
  const values = Object.fromEntries(stream.columns.map(({ name }) => [name, valueAt(stream.columns, name)]))
  const lines = new Lines()
  assert.equal(new LineWriter(stream).write({ device, stream: stream.name, ts, values }, lines, 0), undefined)
  return lines.slice(0, 1).toString()
}
