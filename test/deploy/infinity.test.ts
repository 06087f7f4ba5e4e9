/** What Grafana asks by the plugin Infinity, in the dashboard and on its page, is answered by a real gateway, and the answer has what is named. */

import assert from 'node:assert/strict'
import test from 'node:test'
import { connectAsync } from 'mqtt'
import { parse } from 'yaml'
import { RunningPlatform } from '../e2e/platform.ts'
import { Site, topicOf } from '../e2e/why/planted.ts'
import { Changes } from '../until.ts'
import { readText } from './compose-file.ts'
import { assertApart } from './dashboard.ts'

interface Query {
  readonly url: string
  readonly params: Readonly<Record<string, string>>
  readonly root_selector: string
  readonly columns: readonly { readonly selector: string; readonly type: string; readonly text?: string }[]
  readonly filterExpression?: string
}

interface Target extends Omit<Query, 'params'> {
  readonly parser: string
  readonly url_options: { readonly params: readonly { readonly key: string; readonly value: string }[] }
  readonly datasource?: { readonly uid: string }
}

const dashboard = JSON.parse(readText('deploy/grafana/infinity/dashboard.json'))
const source = parse(readText('deploy/grafana/infinity/datasource.yml')).datasources[0]
const page = readText('docs/grafana.md')
const variables: { name: string; query: { infinityQuery: Target } }[] = dashboard.templating.list
const panels: { id: number; title: string; gridPos: Record<'x' | 'y' | 'w' | 'h', number>; targets: Target[] }[] =
  dashboard.panels

const queryOf = ({ url_options, ...target }: Target): Query => ({
  ...target,
  params: Object.fromEntries(url_options.params.map(({ key, value }) => [key, value])),
})

const blocks = [...page.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text = '']) => parse(text))
const queries: readonly Query[] = [
  ...panels.flatMap(({ targets }) => targets.map(queryOf)),
  ...variables.map(({ query }) => queryOf(query.infinityQuery)),
  ...blocks.filter(({ url }) => url !== undefined).map((block) => ({ params: {}, ...block })),
]

const HOUR_MS = 3_600_000

/** As Grafana's page and Infinity's backend fill them in. */
function filledIn(text: string, now: number, device: string): string {
  return text
    .replaceAll('$device', device)
    .replaceAll(`\${__timeFrom}`, String(now - HOUR_MS))
    .replaceAll(`\${__timeTo}`, String(now))
    .replaceAll('$__interval', '10s')
}

/** As Infinity makes it: what stands in the URL is read as a form, so a plus is a space, and all is written anew, with `%20`. */
function urlOf({ url, params }: Query, now: number, device: string): string {
  const [path = '', search = ''] = filledIn(url, now, device).split('?')
  const query = new URLSearchParams(search)
  for (const [name, value] of Object.entries(params)) query.set(name, filledIn(String(value), now, device))
  const text = query.toString().replaceAll('+', '%20')
  return text === '' ? path : `${path}?${text}`
}

/** A path of plain names. */
function select(value: unknown, path: string): unknown {
  const names = path === '' ? [] : path.split('.')
  return names.reduce<unknown>((all, name) => (all as Record<string, unknown> | undefined)?.[name], value)
}

const TYPES: Readonly<Record<string, string>> = { string: 'string', number: 'number', timestamp_epoch: 'number' }

test('each query of the dashboard and of the page is answered by a gateway, with its rows and its columns', async (t) => {
  const platform = await RunningPlatform.start(t)
  const site = await Site.of(platform)
  t.after(() => site.stop())
  // Of one that is away, and so not well, there is a sentence, a mend and something to show.
  const device = 'truck-7'
  const client = await site.connect(device)
  const at = Date.now() - 60_000
  const reading = { ts: at, temperature: 21.3, humidity: 40, pressure: 1_013, battery: 90, rssi: -60 }
  await client.publishAsync(topicOf(device), JSON.stringify(reading), { qos: 1 })
  await client.publishAsync(topicOf(device), '{', { qos: 1 })
  await platform.settled()
  assert(queries.length >= 10)
  const headers = { authorization: `Bearer ${await platform.appToken()}` }
  for (const query of queries) {
    const url = urlOf(query, Date.now(), device)
    const response = await fetch(`${platform.url}${url}`, { headers })
    const text = await response.text()
    assert.equal(response.status, 200, `${url}: ${text}`)
    const root = select(JSON.parse(text), query.root_selector)
    const rows = Array.isArray(root) ? root : [root]
    const what = `${url}, ${query.root_selector}: ${JSON.stringify(rows).slice(0, 500)}`
    // No rule has told of anything here: docs/openapi.yaml has its columns.
    if (query.url === '/v1/alerts') assert.deepEqual(rows, [], what)
    else assert(rows.length > 0, what)
    for (const { selector, type } of query.columns) {
      const values = rows.map((row) => select(row, selector)).filter((value) => value !== undefined)
      if (selector === 'site' || query.url === '/v1/alerts') continue
      assert(values.length > 0, `${selector} is in ${what}`)
      for (const value of values) assert.equal(typeof value, TYPES[type], `${selector} in ${what}`)
    }
  }
})

test('what is asked of alerts and of sites is described, and what a filter expression names is a column', () => {
  const { schemas } = parse(readText('docs/openapi.yaml')).components
  for (const { url, columns, filterExpression } of queries) {
    const { properties } = url === '/v1/alerts' ? schemas.Alert : schemas.Device
    if (url === '/v1/alerts' || url === '/v1/devices')
      for (const { selector } of columns) assert(selector in properties, `${url} has ${selector}`)
    for (const [, name = ''] of (filterExpression ?? '').matchAll(/(\w+) [!=]=/g))
      assert(
        columns.some(({ text }) => text === name),
        `${name} is a column of ${url}`,
      )
    for (const [, value = ''] of (filterExpression ?? '').matchAll(/'([^']+)'/g))
      assert(JSON.stringify(schemas.DeviceState).includes(`"${value}"`), `${value} is a state`)
  }
})

test('the dashboard asks the source that is provisioned beside it, by a parser that alerts have, and its panels do not overlap', () => {
  const targets = [...panels.flatMap((panel) => panel.targets), ...variables.map(({ query }) => query.infinityQuery)]
  for (const { parser, datasource } of targets) {
    assert.equal(parser, 'backend')
    if (datasource !== undefined) assert.equal(datasource.uid, source.uid)
  }
  for (const name of JSON.stringify(dashboard).matchAll(/\$(?!__|\{__)(\w+)/g))
    assert(
      variables.some((variable) => variable.name === name[1]),
      `${name[1]} is a variable`,
    )
  assertApart(panels)
})

test('the source has no secret, sends its token to the gateway only, and is named on the page as it is', () => {
  assert.deepEqual(source.jsonData.allowedHosts, [source.url])
  assert.deepEqual(source.secureJsonData, { bearerToken: '$TELLTALE_TOKEN' })
  for (const name of [source.type, source.url.slice(1), 'TELLTALE_TOKEN']) assert(page.includes(name), name)
  const live = blocks.find(({ datasources }) => datasources !== undefined).datasources[0]
  assert.deepEqual([live.type, live.jsonData.username], ['grafana-mqtt-datasource', 'app'])
})

class Messages extends Changes {
  readonly texts: string[] = []

  protected override came(): string {
    return this.texts.join()
  }
}

test('a client that connects and subscribes as the MQTT data source does gets what devices publish', async (t) => {
  const platform = await RunningPlatform.start(t, { roles: 'broker' })
  const site = await Site.of(platform)
  t.after(() => site.stop())
  // Its source: a kept session, a client id of its own, keep alive of 60 s, QoS 0.
  const grafana = await connectAsync({
    port: platform.mqttPort,
    clientId: 'grafana_5577006791947779410',
    username: 'app',
    password: await platform.appToken(),
    protocolVersion: 4,
    clean: false,
    keepalive: 60,
    reconnectPeriod: 0,
  })
  t.after(() => grafana.endAsync(true))
  const came = new Messages()
  grafana.on('message', (topic, payload) => {
    came.texts.push(`${topic} ${payload}`)
    came.change()
  })
  const [granted] = await grafana.subscribeAsync(topicOf('truck-7'), { qos: 0 })
  assert.equal(granted?.qos, 0)
  const device = await site.connect('truck-7')
  await device.publishAsync(topicOf('truck-7'), '{"ts":1,"temperature":21.3}', { qos: 1 })
  await came.until(() => came.texts.length > 0)
  assert.deepEqual(came.texts, [`${topicOf('truck-7')} {"ts":1,"temperature":21.3}`])
})
