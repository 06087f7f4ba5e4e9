/** The compose files are valid, ask for secrets instead of having some, and start the platform with settings it takes. */

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { parse } from 'yaml'
import { STOP_DEADLINE_MS } from '../../platform/limits.ts'
import { listSettings, loadSettings } from '../../platform/settings.ts'
import { parseDuration } from '../../platform/units.ts'
import { scratchDirectory } from '../scratch.ts'
import { laidOver, ROOT, readCompose, readText, type Service, type Variables } from './compose-file.ts'

const SECRETS = {
  INFLUX_ADMIN_PASSWORD: 'password',
  INFLUX_ADMIN_TOKEN: 'admin-token',
  GRAFANA_ADMIN_PASSWORD: 'grafana',
}
const TLS = { ...SECRETS, TLS_CERT_FILE: '/tls/chain.pem', TLS_KEY_FILE: '/tls/key.pem' }
const FILES: Readonly<Record<string, Variables>> = { 'docker-compose.yml': SECRETS, 'deploy/tls.yml': TLS }

const ajv = new Ajv2020({ strict: false, allErrors: true })
addFormats.default(ajv)
const isCompose = ajv.compile(JSON.parse(readText('test/deploy/compose-spec.json')))

const service = (name: string, variables: Variables = SECRETS): Service => {
  const found = readCompose('docker-compose.yml', variables).services[name]
  assert(found, `docker-compose.yml has a service ${name}`)
  return found
}
const withTls = () => laidOver(service('telltale'), readCompose('deploy/tls.yml', TLS).services.telltale ?? {})

for (const [file, variables] of Object.entries(FILES)) {
  test(`${file} is valid by the Compose Specification, as written and with its variables filled in`, () => {
    for (const content of [parse(readText(file), { merge: true }), readCompose(file, variables)]) {
      isCompose(content)
      assert.deepEqual(isCompose.errors ?? [], [])
    }
  })
}

test('the schema refuses a misspelt key, a wrong type and an unknown section', () => {
  const mutations: ((compose: Record<string, unknown>, telltale: Record<string, unknown>) => void)[] = [
    (_, telltale) => Object.assign(telltale, { enviroment: {} }),
    (_, telltale) => Object.assign(telltale, { ports: '1883:1883' }),
    (_, telltale) => Object.assign(telltale, { healthcheck: { intervall: '5s' } }),
    (compose) => Object.assign(compose, { volume: {} }),
  ]
  for (const mutate of mutations) {
    const compose = structuredClone(readCompose('docker-compose.yml', SECRETS)) as unknown as Record<string, unknown>
    mutate(compose, (compose.services as Record<string, Record<string, unknown>>).telltale ?? {})
    assert.equal(isCompose(compose), false, mutate.toString())
  }
})

test('the folder with maps is mounted where the platform reads it, and may be another', () => {
  for (const [variables, folder] of [
    [SECRETS, './config'],
    [{ ...SECRETS, TELLTALE_CONFIG: '/srv/config' }, '/srv/config'],
  ] as const) {
    const { environment, volumes } = service('telltale', variables)
    assert(volumes?.includes(`${folder}:${environment?.TELLTALE_CONFIG_DIR}:ro`), JSON.stringify(volumes))
  }
})

test('no secret is in the compose file: without each it stops and says what to run', () => {
  for (const missing of Object.keys(SECRETS)) {
    const rest = Object.fromEntries(Object.entries(SECRETS).filter(([name]) => name !== missing))
    assert.throws(() => readCompose('docker-compose.yml', rest), new RegExp(`${missing} .*make-env.sh`))
  }
})

test('make-env.sh writes every secret the compose file asks for, anew each time, for its owner only', (t) => {
  const directory = scratchDirectory(t)
  const files = ['a.env', 'b.env'].map((name) => join(directory, name))
  const [first, second] = files.map((file) => {
    execFileSync('sh', [join(ROOT, 'deploy/make-env.sh'), file], { stdio: 'ignore' })
    assert.equal(statSync(file).mode & 0o777, 0o600)
    assert(statSync(join(directory, 'config/maps')).isDirectory())
    const lines = readFileSync(file, 'utf8').trim().split('\n')
    return Object.fromEntries(lines.map((line) => line.split('=') as [string, string]))
  })
  assert(first && second)
  assert.deepEqual(Object.keys(first).sort(), Object.keys(SECRETS).sort())
  for (const [name, value] of Object.entries(first)) {
    assert.match(value, /^[0-9a-f]{32,64}$/)
    assert.notEqual(value, second[name])
  }
  readCompose('docker-compose.yml', first)
})

test('make-env.sh keeps a file that is there', (t) => {
  const file = join(scratchDirectory(t), '.env')
  const run = () => execFileSync('sh', [join(ROOT, 'deploy/make-env.sh'), file], { stdio: 'pipe' })
  run()
  const before = readFileSync(file, 'utf8')
  assert.throws(run, /it is kept/)
  assert.equal(readFileSync(file, 'utf8'), before)
})

test('every variable of telltale is a setting, and the platform takes them together, with TLS and without', () => {
  const known = new Set(listSettings(loadSettings({}), {}).map(({ variable }) => variable))
  for (const { environment } of [service('telltale'), withTls()]) {
    for (const name of Object.keys(environment)) assert(known.has(name), `${name} is a setting`)
    const settings = loadSettings(environment)
    assert.equal(settings.store, 'influx')
    assert.equal(settings.auth, 'token')
    assert.equal(settings.dataDir, '/data')
  }
  assert.equal(loadSettings(withTls().environment).insecure, false)
})

test('what telltale writes is what InfluxDB was set up with and Grafana reads', () => {
  const variables = { ...SECRETS, INFLUX_ORG: 'acme', INFLUX_BUCKET: 'fleet' }
  const settings = loadSettings(service('telltale', variables).environment)
  const influx = service('influxdb', variables).environment
  const grafana = service('grafana', variables).environment
  assert.equal(settings.influxOrg, influx.DOCKER_INFLUXDB_INIT_ORG)
  assert.equal(settings.influxBucket, influx.DOCKER_INFLUXDB_INIT_BUCKET)
  assert.equal(settings.influxToken, influx.DOCKER_INFLUXDB_INIT_ADMIN_TOKEN)
  assert.equal(settings.influxUrl, grafana.INFLUX_URL)
  assert.equal(settings.influxBucket, grafana.INFLUX_BUCKET)
  assert.equal(settings.influxToken, grafana.INFLUX_TOKEN)
  const narrow = { ...variables, INFLUX_TOKEN: 'writes', GRAFANA_INFLUX_TOKEN: 'reads' }
  assert.equal(service('telltale', narrow).environment.INFLUX_TOKEN, 'writes')
  assert.equal(service('grafana', narrow).environment.INFLUX_TOKEN, 'reads')
})

test('every port is published to loopback only; TLS opens the encrypted ones and closes plain MQTT', () => {
  for (const { ports } of Object.values(readCompose('docker-compose.yml', SECRETS).services)) {
    for (const port of ports) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/)
  }
  const { environment, ports } = withTls()
  const settings = loadSettings(environment)
  const open = ports.filter((port) => !port.startsWith('127.')).map((port) => Number(port.split(':').at(-1)))
  assert.deepEqual(open, [settings.mqttsPort, settings.gatewayPort])
  assert(settings.tlsCert !== undefined && !settings.insecure)
})

test('a stop leaves the platform the time it needs to drain', () => {
  const grace = parseDuration(String(service('telltale').stop_grace_period)) ?? 0
  assert(grace >= STOP_DEADLINE_MS + 2_000, `${grace} ms`)
})

test('every image is pinned, every service restarts, bounds its log and gains no privileges', () => {
  for (const [name, each] of Object.entries(readCompose('docker-compose.yml', SECRETS).services)) {
    assert.match(each.image, /:(\d+\.\d+(\.\d+)?|local)$/, name)
    assert.equal(each.restart, 'unless-stopped', name)
    assert.deepEqual(each.security_opt, ['no-new-privileges:true'], name)
    assert.deepEqual(each.cap_drop, ['ALL'], name)
    const { options } = each.logging as { options: Record<string, string> }
    assert(options['max-size'] && options['max-file'], name)
  }
})

test('every mounted file is there, and every named volume declared', () => {
  const { services, volumes } = readCompose('docker-compose.yml', SECRETS)
  const used = Object.values(services).flatMap((each) => each.volumes.map((volume) => volume.split(':')[0] ?? ''))
  for (const source of used) {
    // make-env.sh makes that of the maps.
    if (source.startsWith('./')) assert(source === './config' || existsSync(join(ROOT, source)), source)
    else assert(source in volumes, source)
  }
  assert.deepEqual(Object.keys(volumes).sort(), used.filter((source) => !source.startsWith('./')).sort())
})
