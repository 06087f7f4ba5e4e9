/** Reads the import lines of every source file: dependencies point one way, and some names are nouns that are missing. */

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'

const ROOT = new URL('..', import.meta.url).pathname

/** What each folder may import besides itself. */
const ALLOWED: Record<string, readonly string[]> = {
  platform: [],
  schemas: ['platform'],
  maps: ['schemas', 'platform'],
  log: ['platform'],
  identity: ['schemas', 'platform'],
  devices: ['client', 'identity', 'maps', 'schemas', 'platform'],
  intake: ['identity', 'log', 'schemas', 'platform'],
  broker: ['intake', 'identity', 'log', 'maps', 'schemas', 'platform'],
  bridge: ['intake', 'identity', 'log', 'maps', 'schemas', 'platform'],
  ingest: ['log', 'maps', 'schemas', 'platform'],
  gateway: ['identity', 'log', 'maps', 'schemas', 'platform'],
  client: [],
  dashboard: ['client'],
  cli: ['broker', 'bridge', 'ingest', 'gateway', 'devices', 'identity', 'log', 'maps', 'schemas', 'platform'],
}

/** What each inner room may import of its own folder's others; `.` is the folder itself, which may import them all. */
const INNER: Record<string, Record<string, readonly string[]>> = {
  broker: {
    reports: [],
    aedes: [],
    session: ['aedes', 'reports'],
    inbound: ['session', 'aedes', 'reports'],
    sparkplug: ['session', 'reports'],
    admission: ['sparkplug', 'session', 'reports'],
    mqtt5: ['inbound', 'session', 'aedes', 'reports'],
    connect: ['mqtt5', 'inbound', 'session', 'aedes', 'reports'],
    outbound: ['mqtt5', 'inbound', 'session', 'aedes', 'reports'],
    '.': ['sparkplug', 'admission', 'connect', 'outbound', 'mqtt5', 'inbound', 'session', 'aedes', 'reports'],
  },
  gateway: {
    server: [],
    live: ['.', 'server'],
    devices: ['.'],
    alerts: ['.', 'live', 'devices'],
    '.': ['live', 'server', 'devices', 'alerts'],
  },
  ingest: { duckdb: ['.'], influx: ['.'], '.': ['duckdb', 'influx'] },
  log: {
    tables: ['.'],
    local: ['tables', '.'],
    streams: ['tables', '.'],
    kafka: ['streams', '.'],
    rabbitmq: ['streams', '.'],
    '.': [],
  },
  'devices/simulator': {
    signals: ['.'],
    scenario: ['signals'],
    messages: ['scenario', 'signals', '.'],
    faults: ['messages', 'scenario', 'signals'],
    kept: ['scenario', '.'],
    replay: ['scenario', '.'],
    fleet: ['kept', 'replay', 'faults', 'messages', 'scenario', 'signals', '.'],
    report: ['kept', 'fleet', 'faults', 'scenario', '.'],
    view: ['report', 'fleet', 'scenario', '.'],
    run: ['view', 'report', 'kept', 'fleet', 'faults', 'messages', 'scenario', '.'],
    verify: ['run', 'report', 'kept', '.'],
    '.': ['verify', 'run', 'view', 'report', 'fleet', 'replay', 'kept', 'messages', 'scenario'],
  },
}

/** Folders that know nothing of these packages (design, "The roles"). */
const FOREIGN: Record<string, readonly string[]> = {
  schemas: ['aedes', 'mqtt', 'mqtt-packet', 'uWebSockets.js', '@influxdata/influxdb-client', '@duckdb/node-api'],
  maps: ['aedes', 'mqtt', 'mqtt-packet', 'uWebSockets.js', '@influxdata/influxdb-client', '@duckdb/node-api'],
  log: ['avsc', 'aedes', 'mqtt', '@influxdata/influxdb-client', '@duckdb/node-api', 'uWebSockets.js'],
  intake: ['avsc', 'aedes', 'mqtt', 'mqtt-packet', '@influxdata/influxdb-client', '@duckdb/node-api', 'lmdb'],
  broker: ['avsc', '@influxdata/influxdb-client', '@duckdb/node-api', 'uWebSockets.js', 'lmdb'],
  bridge: ['avsc', 'aedes', 'mqtt', '@influxdata/influxdb-client', '@duckdb/node-api', 'uWebSockets.js', 'lmdb'],
  ingest: ['aedes', 'mqtt', 'uWebSockets.js', 'lmdb'],
  gateway: ['aedes', 'mqtt', '@influxdata/influxdb-client', '@duckdb/node-api', 'lmdb'],
  identity: ['aedes', 'mqtt', 'lmdb', 'uWebSockets.js'],
  devices: ['aedes', 'lmdb', 'uWebSockets.js'],
}

/** Modules, ours and libraries', that one file of the broker imports. */
const BROKER_IMPORTS_MAX = 18

const HOMELESS = /(^|\/)(utils?|common|helpers?|types|lib|misc|index)(\.ts|\/)/

interface Import {
  readonly file: string
  readonly folder: string
  readonly target: string
}

function trackedFiles(): string[] {
  const list = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.ts', '*.tsx'], {
    cwd: ROOT,
  })
  return list
    .toString()
    .split('\n')
    .filter((file) => file !== '')
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(ROOT, file), 'utf8')
  const folder = file.split('/')[0] ?? ''
  const matches = text.matchAll(/^(?:import|export)[^'"]*?from '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gms)
  return [...matches].map((match) => ({ file, folder, target: match[1] ?? match[2] ?? match[3] ?? '' }))
}

const sources = trackedFiles().filter((file) => Object.hasOwn(ALLOWED, file.split('/')[0] ?? ''))
const imports = sources.flatMap(importsOf)

test('the imports are read at all', () => {
  assert(sources.length > 50, `${sources.length} source files`)
  assert(imports.some(({ folder, target }) => folder === 'cli' && target.endsWith('broker/broker.ts')))
})

test('dependencies point one way', () => {
  const wrong = imports.filter(({ file, folder, target }) => {
    if (!target.startsWith('.')) return false
    const to = normalize(join(dirname(file), target)).split('/')[0] ?? ''
    return to !== folder && !ALLOWED[folder]?.includes(to)
  })
  assert.deepEqual(wrong, [])
})

test('so do the rooms within a folder', () => {
  const wrong = Object.entries(INNER).flatMap(([house, rooms]) =>
    imports.filter(({ file, target }) => {
      const to = normalize(join(dirname(file), target))
      if (!target.startsWith('.') || !file.startsWith(`${house}/`) || !to.startsWith(`${house}/`)) return false
      const [from, into] = [roomOf(file, house), roomOf(to, house)]
      return from !== into && !rooms[from]?.includes(into)
    }),
  )
  assert.deepEqual(wrong, [])
})

/** The inner room of a path of `house`, `.` for none. */
function roomOf(path: string, house: string): string {
  const [room = '.', ...rest] = path.slice(house.length + 1).split('/')
  return rest.length > 0 ? room : '.'
}

test('no two files lean on each other, not even by a type', () => {
  const targets = new Map<string, Import[]>()
  for (const each of imports) targets.set(each.file, [...(targets.get(each.file) ?? []), each])
  const clear = new Set<string>()
  const circleFrom = (file: string, way: readonly string[]): readonly string[] | undefined => {
    if (clear.has(file)) return undefined
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file]
    for (const { target } of targets.get(file) ?? []) {
      if (!target.startsWith('.')) continue
      const circle = circleFrom(normalize(join(dirname(file), target)), [...way, file])
      if (circle !== undefined) return circle
    }
    clear.add(file)
    return undefined
  }
  assert.deepEqual(
    sources.map((file) => circleFrom(file, [])).filter((circle) => circle !== undefined),
    [],
  )
})

test('no file of the broker imports more than a person keeps in mind', () => {
  const most = new Map<string, Set<string>>()
  for (const { file, folder, target } of imports) {
    if (folder === 'broker') most.set(file, (most.get(file) ?? new Set()).add(target))
  }
  const wrong = [...most].filter(([, targets]) => targets.size > BROKER_IMPORTS_MAX).map(([file]) => file)
  assert.deepEqual(wrong, [])
})

test('a folder does not import the packages of another role', () => {
  const wrong = imports.filter(({ folder, file, target }) => {
    const isSimulator = file.startsWith('devices/simulator/')
    return !isSimulator && FOREIGN[folder]?.some((name) => target === name || target.startsWith(`${name}/`))
  })
  assert.deepEqual(wrong, [])
})

test('what speaks to RabbitMQ is one file', () => {
  const files = imports.filter(({ target }) => target === 'amqplib').map(({ file }) => file)
  assert.deepEqual(files, ['log/rabbitmq/client.ts'])
})

test('the SDK needs nothing: one command of it Node, and no file a package', () => {
  const others = imports.filter(({ folder, target }) => folder === 'client' && !target.startsWith('.'))
  assert.deepEqual([...new Set(others.map(({ file }) => file))], ['client/command.ts'])
  assert(others.every(({ target }) => target.startsWith('node:')))
})

test("the gateway's libraries are named in their rooms only", () => {
  const rooms: Record<string, string> = {
    'uWebSockets.js': 'gateway/server/uws/',
    ws: 'gateway/server/node/',
    'node:http': 'gateway/server/node/',
    'node:https': 'gateway/server/node/',
  }
  const wrong = imports.filter(({ file, folder, target }) => {
    const room = rooms[target]
    return folder === 'gateway' && room !== undefined && !file.startsWith(room)
  })
  assert.deepEqual(wrong, [])
})

test('one place makes a log, and no other names a kind of it', () => {
  const outside = imports.filter(({ file, target }) => target.includes('log/local/') && !file.startsWith('log/'))
  assert.deepEqual([...new Set(outside.map(({ file }) => file))], ['cli/log.ts'])
})

test('relative imports name their file', () => {
  const wrong = imports.filter(({ target }) => target.startsWith('.') && !/\.(tsx?|js|json|css)$/.test(target))
  assert.deepEqual(wrong, [])
})

test('the command line loads what a command needs when it is named: before that, commander', () => {
  const files = new Set(['cli/main.ts'])
  const packages = new Set<string>()
  for (const file of files) {
    const text = readFileSync(join(ROOT, file), 'utf8')
    for (const [, target = ''] of text.matchAll(/^(?:import|export)\b(?! type)[^'"]*?from '([^']+)'/gms)) {
      if (target.startsWith('.')) files.add(normalize(join(dirname(file), target)))
      else if (!target.startsWith('node:')) packages.add(target)
    }
  }
  assert.deepEqual([...packages], ['commander'])
})

test('no room without a noun', () => {
  assert.deepEqual(
    trackedFiles().filter((file) => HOMELESS.test(file)),
    [],
  )
})

test('the clock, chance and the environment are read where they belong', () => {
  const wrong = sources.filter((file) => {
    const text = readFileSync(join(ROOT, file), 'utf8').replaceAll(/\/\*\*.*?\*\/|\/\/[^\n]*/gs, '')
    const isClock = file === 'platform/clock.ts' || file === 'dashboard/time.ts'
    const isSettings = file === 'platform/settings.ts'
    const readsClock = !isClock && /\bDate\.now\(\)|\bnew Date\(\)/.test(text)
    const isRandom = /\bMath\.random\(\)/.test(text)
    const isCommand = file.startsWith('cli/') || file === 'client/command.ts'
    const readsEnvironment = !isSettings && !isCommand && /\bprocess\.env\b(?!\.\w+ = )/.test(text)
    return readsClock || isRandom || readsEnvironment
  })
  assert.deepEqual(wrong, [])
})

test("lmdb's buffers with a length that is not their own are read in one place", () => {
  const callers = sources.filter((file) => readFileSync(join(ROOT, file), 'utf8').includes('.getBinaryFast('))
  assert.deepEqual(callers, ['log/tables/environment.ts'])
})

test('all that a stream has buffered is read in one place, for `read()` gives one piece of it since Node 26', () => {
  const readers = sources.filter((file) =>
    /\b(conn|stream|socket|connection)\.read\(\)/.test(readFileSync(join(ROOT, file), 'utf8')),
  )
  assert.deepEqual(readers, ['broker/inbound/inbound.ts'])
})

test('a connection is ended in one place; its listeners and the room before it let go only of sockets whose peer has gone', () => {
  const enders = sources.filter((file) => {
    const isBroker = file.startsWith('broker/')
    return isBroker && /\.destroy\(|\.emit\('error'|\bclient\.close\(/.test(readFileSync(join(ROOT, file), 'utf8'))
  })
  assert.deepEqual(enders, [
    'broker/connect/listeners.ts',
    'broker/connect/pending-connects.ts',
    'broker/connect/proxy-headers.ts',
    'broker/inbound/connection.ts',
    'broker/reports/disconnects.ts',
  ])
})
