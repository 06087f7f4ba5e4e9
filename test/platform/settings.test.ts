import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listSettings, loadSettings } from '../../platform/settings.ts'
import { parseDuration } from '../../platform/units.ts'

test('without variables everything is at its default', () => {
  const settings = loadSettings({})
  assert.equal(settings.dataDir, './data')
  assert.equal(settings.mqttPort, 1883)
  assert.equal(settings.gatewayPort, 8080)
  assert.equal(settings.store, 'duckdb')
  assert.equal(settings.logMaxBytes, 10 * 2 ** 30)
  assert.equal(settings.logRetentionMs, 86_400_000)
})

test('values are read with their units, an empty variable counts as unset', () => {
  const settings = loadSettings({
    TELLTALE_LOG_MAX_BYTES: '512MiB',
    TELLTALE_LOG_RETENTION: '90m',
    TELLTALE_MQTT_PORT: '0',
    TELLTALE_READING_TIME_MIN: '2000-01-01',
    TELLTALE_MQTT_KEEPALIVE_MAX: '1m',
    TELLTALE_MQTT_SERVER_REFERENCE: ' two.example:1883  [::1]:1883 ',
    TELLTALE_DATA_DIR: '',
  })
  assert.equal(settings.logMaxBytes, 512 * 2 ** 20)
  assert.equal(settings.logRetentionMs, 5_400_000)
  assert.equal(settings.mqttPort, 0)
  assert.equal(settings.mqttKeepaliveMaxMs, 60_000)
  assert.equal(settings.mqttServerReference, 'two.example:1883 [::1]:1883')
  assert.equal(settings.readingTimeMinMs, Date.UTC(2000, 0, 1))
  assert.equal(settings.dataDir, './data')
})

test('origins are read as browsers spell them; self is none', () => {
  const originsOf = (TELLTALE_GATEWAY_ORIGINS: string) => loadSettings({ TELLTALE_GATEWAY_ORIGINS }).gatewayOrigins
  assert.equal(originsOf(''), undefined)
  assert.deepEqual(originsOf('self'), [])
  const read = ['https://app.example', 'http://localhost:5173']
  assert.deepEqual(originsOf('HTTPS://App.Example:443/, http://localhost:5173'), read)
  for (const origins of ['self', read.join(',')]) {
    const environment = { TELLTALE_GATEWAY_ORIGINS: origins }
    const listing = listSettings(loadSettings(environment), environment)
    assert.equal(listing.find(({ variable }) => variable === 'TELLTALE_GATEWAY_ORIGINS')?.value, origins)
  }
})

test('tiles of the map are of one origin', () => {
  const tilesOf = (TELLTALE_MAP_TILES: string) => loadSettings({ TELLTALE_MAP_TILES }).mapTiles
  assert.equal(tilesOf(''), undefined)
  assert.equal(
    tilesOf(' https://tiles.example/{z}/{x}/{y}{r}.png?key=1 '),
    'https://tiles.example/{z}/{x}/{y}{r}.png?key=1',
  )
})

test('the bridge has a broker and filters, and what belongs together', () => {
  const url = { TELLTALE_BRIDGE_URL: 'mqtts://broker.example' }
  const { bridgeTopics } = loadSettings({ ...url, TELLTALE_BRIDGE_TOPICS: 'a/+/b, c/#,#' })
  assert.deepEqual(bridgeTopics, ['a/+/b', 'c/#', '#'])
  const wrong = [
    { TELLTALE_BRIDGE_URL: 'http://broker.example' },
    { TELLTALE_BRIDGE_URL: 'mqtt://user:secret@broker.example' },
    { ...url, TELLTALE_BRIDGE_TOPICS: 'a/#/b' },
    { ...url, TELLTALE_BRIDGE_TOPICS: '$share/a/b' },
    { ...url, TELLTALE_BRIDGE_GROUP: 'a/b' },
    { ...url, TELLTALE_BRIDGE_CERT: 'a.pem' },
    { ...url, TELLTALE_BRIDGE_PASSWORD: 'x' },
    { TELLTALE_BRIDGE_URL: 'mqtt://broker.example', TELLTALE_BRIDGE_CA: 'a.pem' },
  ]
  for (const environment of wrong) {
    const isRefused = (error: Error) => /^TELLTALE_BRIDGE_/.test(error.message) && !error.message.includes('secret@')
    assert.throws(() => loadSettings(environment), isRefused, JSON.stringify(environment))
  }
})

test('INFLUX_URL makes influx the store', () => {
  const settings = loadSettings({ INFLUX_URL: 'http://127.0.0.1:8086', INFLUX_ORG: 'o' })
  assert.equal(settings.store, 'influx')
  assert.equal(loadSettings({ INFLUX_URL: 'http://127.0.0.1:8086', TELLTALE_STORE: 'duckdb' }).store, 'duckdb')
})

const wrong: [environment: Record<string, string>, named: RegExp][] = [
  [{ TELLTALE_MQTT_PORT: '65536' }, /^TELLTALE_MQTT_PORT is "65536": allowed is a port/],
  [{ TELLTALE_MQTT_PORT: '18 83' }, /^TELLTALE_MQTT_PORT is "18 83"/],
  [{ TELLTALE_GATEWAY_PORT: '-1' }, /^TELLTALE_GATEWAY_PORT is "-1"/],
  [
    { TELLTALE_GATEWAY_ORIGINS: 'app.example' },
    /^TELLTALE_GATEWAY_ORIGINS is "app.example": allowed is origins such as https:/,
  ],
  [
    { TELLTALE_MQTT_SERVER_REFERENCE: 'mqtt://two.example' },
    /^TELLTALE_MQTT_SERVER_REFERENCE is "mqtt:\/\/two.example": allowed is a host or host:port/,
  ],
  [
    { TELLTALE_MAP_TILES: 'tiles.example/{z}/{x}/{y}.png' },
    /^TELLTALE_MAP_TILES is ".*": allowed is a URL such as https:/,
  ],
  [{ TELLTALE_MAP_TILES: 'https://{s}.tiles.example/{z}/{x}/{y}.png' }, /^TELLTALE_MAP_TILES is /],
  [{ TELLTALE_MAP_TILES: 'https://tiles.example/{z}/{x}.png' }, /^TELLTALE_MAP_TILES is /],
  [{ TELLTALE_MAP_TILES: 'https://tiles.example/{z}/{x}/{y}/{style}.png' }, /^TELLTALE_MAP_TILES is /],
  [{ TELLTALE_MAP_TILES: 'data:image/png,{z}{x}{y}' }, /^TELLTALE_MAP_TILES is /],
  [{ TELLTALE_GATEWAY_ORIGINS: '*' }, /^TELLTALE_GATEWAY_ORIGINS is "\*": /],
  [{ TELLTALE_GATEWAY_ORIGINS: 'https://a.example,' }, /^TELLTALE_GATEWAY_ORIGINS is /],
  [{ TELLTALE_GATEWAY_ORIGINS: 'https://a.example/app' }, /^TELLTALE_GATEWAY_ORIGINS is /],
  [{ TELLTALE_GATEWAY_ORIGINS: 'https://*.example' }, /^TELLTALE_GATEWAY_ORIGINS is /],
  [{ TELLTALE_LOG_LEVEL: 'loud' }, /^TELLTALE_LOG_LEVEL is "loud": allowed is trace, debug, info/],
  [{ TELLTALE_LOG_MAX_BYTES: '1MiB' }, /^TELLTALE_LOG_MAX_BYTES is "1MiB": allowed is 16MiB to 16TiB/],
  [{ TELLTALE_LOG_RETENTION: '1 year' }, /^TELLTALE_LOG_RETENTION is "1 year": allowed is a duration/],
  [
    { TELLTALE_READING_TIME_MIN: '2015' },
    /^TELLTALE_READING_TIME_MIN is "2015": allowed is a date, or a date and time, in ISO 8601, from 1970-01-01/,
  ],
  [{ TELLTALE_AUTH: 'none' }, /^TELLTALE_AUTH is "none": allowed is token or off/],
  [{ TELLTALE_STORE: 'influx' }, /INFLUX_URL is not set/],
  [{ INFLUX_URL: 'localhost:8086' }, /^INFLUX_URL is "localhost:8086": allowed is an http or https URL/],
  [{ INFLUX_URL: 'http://h' }, /^INFLUX_ORG is not set/],
  [{ INFLUX_API: 'v3' }, /^INFLUX_API is "v3": allowed is v1 or v2/],
  [{ TELLTALE_INGEST_WORKERS: '0' }, /^TELLTALE_INGEST_WORKERS is "0": allowed is 1 to 64/],
  [{ TELLTALE_MQTT_HOST: '0.0.0.0' }, /^TELLTALE_MQTT_HOST is "0.0.0.0" without TLS/],
  [{ TELLTALE_GATEWAY_HOST: '10.0.0.1' }, /^TELLTALE_GATEWAY_HOST is "10.0.0.1" without TLS/],
  [{ TELLTALE_MQTT_HOST: '0.0.0.0', TELLTALE_AUTH: 'off', TELLTALE_INSECURE: 'true' }, /TELLTALE_AUTH is "off"/],
  [{ TELLTALE_TLS_CERT: 'c' }, /go together/],
  [{ TELLTALE_MQTTS_PORT: '8883' }, /^TELLTALE_MQTTS_PORT is "8883", but TELLTALE_TLS_CERT/],
  [{ TELLTALE_INSECURE: 'yes' }, /^TELLTALE_INSECURE is "yes": allowed is true or false/],
]

for (const [environment, message] of wrong) {
  test(`${JSON.stringify(environment)} is refused in one line`, () => {
    assert.throws(
      () => loadSettings(environment),
      (error: Error) => message.test(error.message) && !error.message.includes('\n'),
    )
  })
}

test('secrets are masked, in listings and in errors', () => {
  const environment = { INFLUX_URL: 'http://h', INFLUX_ORG: 'o', INFLUX_TOKEN: 'hush' }
  const listing = listSettings(loadSettings(environment), environment)
  assert(!JSON.stringify(listing).includes('hush'))
  const token = listing.find(({ variable }) => variable === 'INFLUX_TOKEN')
  assert.deepEqual([token?.value, token?.fromEnvironment], ['********', true])
})

test('every setting says its default, what is allowed and what it means', () => {
  const listing = listSettings(loadSettings({}), {})
  assert(listing.length > 20)
  for (const each of listing) assert(each.allowed && each.meaning && each.default && each.value, each.variable)
})

test('beyond loopback is allowed with TLS, or insecurely on request', () => {
  const tls = { TELLTALE_TLS_CERT: 'c', TELLTALE_TLS_KEY: 'k' }
  const hosts = { TELLTALE_MQTT_HOST: '0.0.0.0', TELLTALE_GATEWAY_HOST: '0.0.0.0' }
  assert.equal(loadSettings({ ...hosts, ...tls, TELLTALE_MQTTS_PORT: '8883' }).mqttHost, '0.0.0.0')
  assert.equal(loadSettings({ ...hosts, TELLTALE_INSECURE: 'true' }).mqttHost, '0.0.0.0')
  assert.throws(() => loadSettings({ ...hosts, ...tls }), /TELLTALE_MQTT_HOST/)
})

test('durations', () => {
  assert.deepEqual(
    ['500ms', '1.5s', '2m', '24h', '365d'].map(parseDuration),
    [500, 1_500, 120_000, 86_400_000, 31_536_000_000],
  )
  for (const text of ['', '5', 's', '-1s', '1w', '1h30m', 'Infinityd'])
    assert.equal(parseDuration(text), undefined, text)
})
