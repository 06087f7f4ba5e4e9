/** The commands as people type them: what they print, and how they end. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { catalogueOf } from '../../schemas/catalogue.ts'
import { Registry } from '../../schemas/registry.ts'
import { schemaFolder } from '../schemas/schema-folder.ts'
import { scratchDirectory } from '../scratch.ts'
import { freePort } from '../servers/server.ts'
import { ROOT } from '../tree.ts'
import { telltale } from './telltale.ts'

const wrong: [args: string[], message: RegExp, environment?: Record<string, string>][] = [
  [['nonsense'], /unknown command 'nonsense'/],
  [['up', '--roles', 'broker,baker'], /--roles names "baker": allowed are broker, ingest, gateway/],
  [['up', '--roles', 'gateway'], /ingest and gateway run in one process with the embedded store/],
  [['token', 'device'], /missing required argument 'id'/],
  [['token', 'device', 'd', '--ttl', 'soon'], /'soon' is invalid. Allowed is a duration/],
  [['token', 'device', 'a/b'], /'a\/b' is invalid.*Allowed are 1 to 64/],
  [['token', 'device', 'Plant A:line 4'], /'Plant A:line 4' is invalid.*its id here is Plant_A:line_4-005d20b2\n/],
  [['why', 'Plant A/line 4'], /'Plant A\/line 4' is invalid.*its id here is Plant_A:line_4-005d20b2\n/],
  [['trace', 'truck-7', 'noon'], /'noon' is invalid.*Allowed is a time/],
  [['trace', 'truck-7', '5m', '--stream', 'Pump'], /'Pump' is invalid.*Allowed is a-z, then/],
  [['trace', 'truck-7'], /missing required argument 'time'/],
  [['token', 'app', '--filter', 'a/#/b'], /'a\/#\/b' is invalid.*Allowed is an MQTT topic filter/],
  [
    ['token', 'app', '--filter', 'devices/+/telemetri/#'],
    /'devices\/\+\/telemetri\/#' is invalid.*It matches no topic/,
  ],
  [['token', 'app', '--filter', '$SYS/#'], /'\$SYS\/#' is invalid.*It matches no topic/],
  [['token', 'app'], /required option '--filter <filter>' not specified/],
  [['deadletters', 'show', 'x'], /'x' is invalid.*Allowed is a whole number/],
  [['deadletters', 'list', '--since', '2025-02-30'], /'2025-02-30' is invalid.*Allowed is a time/],
  [['deadletters', 'list', '--until', '2025-02-29T10:00'], /'2025-02-29T10:00' is invalid.*Allowed is a time/],
  [['deadletters', 'list', '--device', 'a/b'], /'a\/b' is invalid.*Allowed are 1 to 64/],
  [['deadletters', 'replay', '--stream', 'Pump'], /'Pump' is invalid.*Allowed is a-z, then/],
  [
    ['deadletters', 'purge', '--code', 'emptyy'],
    /'emptyy' is invalid.*Allowed is empty, unknown-framing, .*log-damaged/,
  ],
  [['deadletters', 'purge'], /purge needs numbers or options such as --code that say which, or --all/],
  [['deadletters', 'replay', '--all', '--code', 'empty'], /replay needs .* not both/],
  [['ledger', '--device', 'a/b'], /--device is "a\/b": allowed are 1 to 64/],
  [['simulate', '--devices', '0'], /--devices.*Allowed is a whole number from 1/],
  [['up'], /^telltale: TELLTALE_MQTT_PORT is "99999": allowed is a port.*\n$/, { TELLTALE_MQTT_PORT: '99999' }],
  [['up'], /^telltale: INFLUX_URL is "ftp:\/\/a:\*{8}@h": .*\n$/, { INFLUX_URL: 'ftp://a:p@ss@h' }],
  [['up'], /^telltale: TELLTALE_GATEWAY_HOST is "0.0.0.0" without TLS.*\n$/, { TELLTALE_GATEWAY_HOST: '0.0.0.0' }],
]

test('wrong usage ends with 2 and says what would be right', async (t) => {
  const directory = scratchDirectory(t)
  for (const [args, message, environment] of wrong) {
    const { code, stdout, stderr } = await telltale(directory, args, environment)
    assert.equal(code, 2, `${args.join(' ')}: ${stderr}`)
    assert.match(stderr, message)
    assert.equal(stdout, '')
  }
})

test('what fails ends with 1, and says what: no installation, a port that is taken', async (t) => {
  const directory = scratchDirectory(t)
  const nowhere = await telltale(directory, ['ledger'])
  assert.deepEqual([nowhere.code, nowhere.stdout], [1, ''])
  assert.match(nowhere.stderr, /^telltale: there is no installation in .*: see TELLTALE_DATA_DIR/)
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.after(() => taken.close())
  const port = String((taken.address() as AddressInfo).port)
  const free = String(await freePort())
  for (const [mqtt, gateway, hint] of [
    [port, free, 'TELLTALE_MQTT_PORT'],
    [free, port, 'TELLTALE_GATEWAY_PORT'],
  ] as const) {
    const ports = { TELLTALE_MQTT_PORT: mqtt, TELLTALE_GATEWAY_PORT: gateway }
    const ended = await telltale(directory, ['up'], ports)
    assert.equal(ended.code, 1, ended.stderr)
    assert.match(ended.stderr, new RegExp(`^telltale: .*${port}.*${hint}`))
  }
})

test('what the disk says of a setting is one line that names it', async (t) => {
  const directory = scratchDirectory(t)
  const file = join(directory, 'file')
  writeFileSync(file, '')
  const tls = { TELLTALE_TLS_CERT: file, TELLTALE_TLS_KEY: file }
  const cases: [variable: string, environment: Record<string, string>][] = [
    ['TELLTALE_DATA_DIR', { TELLTALE_DATA_DIR: file }],
    ['TELLTALE_DATA_DIR', { TELLTALE_DATA_DIR: '/proc/nowhere' }],
    ['TELLTALE_SCHEMAS_DIR', { TELLTALE_SCHEMAS_DIR: join(directory, 'missing') }],
    ['TELLTALE_TLS_CERT', tls],
    ['TELLTALE_TLS_CERT', { ...tls, TELLTALE_TLS_CERT: join(directory, 'missing') }],
  ]
  for (const [variable, environment] of cases) {
    const { code, stdout, stderr } = await telltale(directory, ['up'], environment)
    assert.deepEqual([code, stdout], [2, ''], stderr)
    assert.match(stderr, new RegExp(`^telltale: ${variable} is ".*" \\(.*\\): allowed is .*\\n$`))
  }
})

test('--help of each command ends with 0', async (t) => {
  const directory = scratchDirectory(t)
  const commands = ['up', 'simulate', 'token', 'keys', 'schemas', 'command', 'deadletters', 'ledger', 'config']
  for (const args of [[], ...commands.map((name) => [name]), ['token', 'app'], ['deadletters', 'show']]) {
    const { code, stdout } = await telltale(directory, [...args, '--help'])
    assert.equal(code, 0, args.join(' '))
    assert.match(stdout, /Usage: telltale/)
    assert.doesNotMatch(stdout, /default: \d{4,}\)/, 'a duration is printed as a person writes it')
  }
})

test('tokens are printed one a line, in order, and nothing else; the key is for its owner only', async (t) => {
  const directory = scratchDirectory(t)
  const { stdout, stderr } = await telltale(directory, ['token', 'device', 'truck-7', 'truck-8', '--ttl', '2h'])
  assert.match(stderr, /^telltale: made a new signing key in .*keys: its tokens are good for this installation only\n$/)
  const claims = stdout
    .trimEnd()
    .split('\n')
    .map((token) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()))
  assert.deepEqual(
    claims.map(({ sub, role, exp, iat }) => [sub, role, exp - iat]),
    [
      ['truck-7', 'device', 7_200],
      ['truck-8', 'device', 7_200],
    ],
  )
  const app = await telltale(directory, ['token', 'app', '--filter', 'devices/a/#', '--filter', 'devices/b/#'])
  const { filters } = JSON.parse(Buffer.from(app.stdout.split('.')[1] ?? '', 'base64url').toString())
  assert.deepEqual(filters, ['devices/a/#', 'devices/b/#'])
  assert.match(app.stderr, /^telltale: to revoke it: telltale token revoke app-[\w-]{16}\n$/)
  const host = await telltale(directory, ['token', 'app', '--filter', 'spBv1.0/#'])
  assert.match(
    host.stderr,
    /^telltale: spBv1.0\/# is of topics that are not under devices\/: .*\ntelltale: to revoke it: .*\n$/,
  )
  const early = await telltale(directory, ['token', 'app', '--filter', 'devices/+/telemetry/enviroment'])
  assert.match(
    early.stderr,
    /^telltale: .*enviroment selects nothing yet: there is no stream enviroment, only env.*\ntelltale: to revoke it: .*\n$/,
  )
  assert.equal(early.code, 0)
  assert.equal(statSync(join(directory, 'keys', 'signing.key')).mode & 0o777, 0o600)
})

test('config lists every setting with the value in force, secrets masked', async (t) => {
  const directory = scratchDirectory(t)
  const { stdout } = await telltale(directory, ['config'], {
    TELLTALE_LOG_RETENTION: '2h',
    INFLUX_TOKEN: 'hush',
    INFLUX_URL: 'https://me:hush@example.com:8086/a@b',
    INFLUX_ORG: 'o',
  })
  assert.match(stdout, /^INFLUX_URL\s+URL\s+https:\/\/me:\*{8}@example\.com:8086\/a@b \*/m)
  assert.match(stdout, /^TELLTALE_LOG_RETENTION\s+duration\s+2h \*\s+1d\s/m)
  assert.match(stdout, /^INFLUX_TOKEN\s+secret\s+\*{8} \*/m)
  assert(!stdout.includes('hush'))
  const misspelt = await telltale(directory, ['config', '--json'], { TELLTALE_MQTT_PROT: '1883' })
  assert.match(misspelt.stderr, /there is no setting TELLTALE_MQTT_PROT/)
  const json = JSON.parse(misspelt.stdout)
  assert(json.some(({ variable }: { variable: string }) => variable === 'TELLTALE_MQTT_PORT'))
})

test('schemas are listed with their fingerprints', async (t) => {
  const { stdout } = await telltale(scratchDirectory(t), ['schemas', 'list'])
  assert.match(stdout, /^environment\s+1\s+1cbbb95fb5d067f9/m)
})

test('schemas list tells how each stream is published, also what a map makes, and as JSON all of it', async (t) => {
  const directory = scratchDirectory(t)
  const proto = readFileSync(join(ROOT, 'docs/protobuf/environment.proto'), 'utf8')
  const avsc = readFileSync(join(ROOT, 'schemas/environment/1.avsc'), 'utf8')
  const pump = { ...JSON.parse(avsc), name: 'pump' }
  const folder = schemaFolder(t, {
    'schemas/environment/1.avsc': avsc,
    'schemas/environment/1.proto': proto,
    'schemas/pump/1.avsc': pump,
    'schemas/pump/2.avsc': { ...pump, fields: pump.fields.slice(0, 2) },
    'config/maps/tasmota.yaml':
      'topic: tele/{device}/SENSOR\nstream: tasmota\nfields: { current: { path: I, unit: A } }',
  })
  const settings = { TELLTALE_SCHEMAS_DIR: join(folder, 'schemas'), TELLTALE_CONFIG_DIR: join(folder, 'config') }
  const { stdout } = await telltale(directory, ['schemas', 'list'], settings)
  const rows = stdout.split('\n').map((line) => line.split(/\s{2,}/))
  assert.deepEqual(
    rows.slice(1, -1).map(([stream, version, , , files, published]) => [stream, version, files, published]),
    [
      ['environment', '1', '1.avsc 1.proto', 'avro json messagepack cbor protobuf'],
      ['pump', '1', '1.avsc', '-'],
      ['pump', '2', '2.avsc', 'avro json messagepack cbor'],
      ['tasmota', '-', 'tasmota.yaml', 'map tele/{device}/SENSOR'],
    ],
  )
  const { stdout: json } = await telltale(directory, ['schemas', 'list', '--json'], settings)
  const registry = Registry.load(join(folder, 'schemas'))
  assert.deepEqual(JSON.parse(json).slice(0, 2), JSON.parse(JSON.stringify(catalogueOf(registry))))
})
