/** Foreign topics through the whole platform: on disk before they are acknowledged, live, in the store, in the books. */

import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt'
import { avro } from '../../client/avro/avro.ts'
import { connect } from '../../client/client.ts'
import type { DeviceRecord } from '../../gateway/devices/one-device.ts'
import { hashPassword } from '../../identity/users.ts'
import type { Reading } from '../../schemas/reading.ts'
import { scratchDirectory } from '../scratch.ts'
import { freePort } from '../servers/server.ts'
import { until } from '../until.ts'
import { type Frame, LiveSocket } from './live-socket.ts'
import { type PlatformOptions, RunningPlatform } from './platform.ts'
import { STORES } from './stores.ts'

/** A platform with maps that can be changed. */
class MappedPlatform {
  readonly platform: RunningPlatform
  readonly #t: TestContext
  readonly #directory: string

  private constructor(t: TestContext, platform: RunningPlatform, directory: string) {
    this.#t = t
    this.platform = platform
    this.#directory = directory
  }

  static async start(t: TestContext, maps: Record<string, string>, options: PlatformOptions = {}) {
    const directory = scratchDirectory(t)
    mkdirSync(join(directory, 'maps'))
    mkdirSync(join(directory, 'devices'))
    for (const [name, text] of Object.entries(maps)) writeFileSync(join(directory, 'maps', name), text)
    const environment = { TELLTALE_CONFIG_DIR: directory, TELLTALE_LOG_LEVEL: 'info', ...options.environment }
    return new MappedPlatform(t, await RunningPlatform.start(t, { ...options, environment }), directory)
  }

  get mapsDirectory(): string {
    return join(this.#directory, 'maps')
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.#directory, 'maps', name), text)
  }

  writeDevice(name: string, text: string): void {
    writeFileSync(join(this.#directory, 'devices', name), text)
  }

  async device(id: string, options: IClientOptions = {}): Promise<MqttClient> {
    const password = await this.platform.deviceToken(id)
    const client = await connectAsync({
      port: this.platform.mqttPort,
      clientId: id,
      username: id,
      password,
      reconnectPeriod: 0,
      ...options,
    })
    this.#t.after(() => client.end(true))
    return client
  }

  async live(): Promise<LiveSocket> {
    const live = await LiveSocket.open(this.platform.url, await this.platform.appToken())
    this.#t.after(() => live.close())
    live.send({ type: 'subscribe', id: '1', filter: 'devices/+/telemetry/#', start: 'now' })
    await live.next('live')
    return live
  }
}

const readingsOf = (frame: Frame) => frame.readings as Reading[]
const plain = (readings: readonly Reading[]) => readings.map(({ received: _received, ...reading }) => reading)

const TASMOTA = `
topic: tele/{device}/SENSOR
stream: tasmota
time: Time
fields: { temperature: AM2301.Temperature, current: { path: ENERGY.Current, unit: A } }
`
const OPEN = 'topic: meter/{device}/{phase}\nstream: meter\ntime: t\ntags: { phase: "{phase}" }\n'

for (const [name, startStore] of Object.entries(STORES)) {
  test(`${name}: a mapped message is live and stored, its columns learnt as they come, and the books balance`, async (t) => {
    const store = await startStore(t)
    if (store === undefined || store.victoria !== undefined) return
    const mapped = await MappedPlatform.start(
      t,
      { 'tasmota.yaml': TASMOTA, 'meter.yml': OPEN },
      store.options && { store: store.options },
    )
    const { platform } = mapped
    const live = await mapped.live()
    const plug = await mapped.device('plug-1')
    const now = Math.floor(Date.now() / 1000) * 1000
    const iso = new Date(now).toISOString().slice(0, 19)
    const sensor = { Time: iso, AM2301: { Temperature: 21.3 }, ENERGY: { Current: 0.25 } }
    await plug.publishAsync('tele/plug-1/SENSOR', JSON.stringify(sensor), { qos: 1, retain: true })
    const first = { device: 'plug-1', stream: 'tasmota', ts: now, values: { temperature: 21.3, current: 0.25 } }
    assert.deepEqual(plain(readingsOf(await live.next('readings'))), [first])

    const expected: Reading[] = [first]
    for (const [index, values] of [{ w: 1 }, { w: 2, v: { rms: 230 } }, { other: 3 }].entries()) {
      const reading = { device: 'plug-1', stream: 'meter', ts: now + index, values: { phase: 'l1', ...flat(values) } }
      await plug.publishAsync('meter/plug-1/l1', JSON.stringify({ t: now + index, ...values }), { qos: 1 })
      assert.deepEqual(plain(readingsOf(await live.next('readings'))), [reading])
      expected.push(reading)
    }
    const ledger = await platform.settled()
    assert.deepEqual([ledger.accepted, ledger.stored, ledger.readings, ledger.deadLettered], [4, 4, 4, 0])
    const byTime = (a: Reading, b: Reading) => a.ts - b.ts || a.stream.localeCompare(b.stream)
    assert.deepEqual(plain(await platform.readings('')).sort(byTime), expected.sort(byTime))
    const { schemas } = await platform.get<{ schemas: { stream: string; columns: { name: string }[] }[] }>(
      '/v1/schemas',
    )
    const columns = schemas.find(({ stream }) => stream === 'meter')?.columns.map((column) => column.name)
    assert.deepEqual(columns, ['phase', 'w', 'v_rms', 'other'])
    // The book of columns outlives the process, so history has them all.
    assert.equal(await platform.stop(), 0)
    await platform.start()
    assert.deepEqual(plain(await platform.readings('')).sort(byTime), expected)
  })
}

const flat = (values: { readonly v?: { readonly rms: number } }): Record<string, number> => {
  const { v, ...rest } = values
  return { ...rest, ...(v && { v_rms: v.rms }) }
}

test('a device speaks for itself only; what its map leaves out is not kept; what cannot be read is set aside with its topic', async (t) => {
  const maps = `
- topic: tele/{device}/LWT
  ignore: all
- topic: tele/{device}/SENSOR
  stream: tasmota
  fields: { temperature: }
`
  const mapped = await MappedPlatform.start(t, { 'm.yaml': maps })
  const { platform } = mapped
  const will = { topic: 'tele/plug-1/LWT', payload: Buffer.from('Offline'), qos: 1 as const, retain: true }
  const plug = await mapped.device('plug-1', { will })
  const told: { code: string; message: string }[] = []
  plug.on('message', (_topic, payload) => told.push(JSON.parse(String(payload))))
  await plug.subscribeAsync('devices/plug-1/errors')
  await plug.publishAsync('tele/plug-2/SENSOR', '{"temperature":1}', { qos: 1 })
  await plug.publishAsync('tele/plug-1/LWT', 'Online', { qos: 1 })
  await plug.publishAsync('tele/plug-1/SENSOR', '', { qos: 1 })
  await plug.publishAsync('tele/plug-1/STATE', '{}', { qos: 1 })
  await plug.publishAsync('tele/plug-1/SENSOR', '{"temperature":"warm"}', { qos: 1 })
  await plug.publishAsync('tele/plug-1/SENSOR', '{"temperature":21.3}', { qos: 2 })
  const ledger = await platform.settled()
  assert.deepEqual([ledger.accepted, ledger.stored, ledger.deadLettered], [2, 1, 1])
  await until(
    () => told.length === 3,
    () => JSON.stringify(told),
  )
  assert.deepEqual(told.map(({ code }) => code).sort(), ['invalid-reading', 'publish-forbidden', 'publish-forbidden'])
  const { deadLetters } = await platform.get<DeviceRecord>('/v1/devices/plug-1')
  assert.deepEqual(
    deadLetters.map(({ code, held }) => [code, held]),
    [['invalid-reading', 1]],
  )
  assert.match(told[1]?.message ?? '', /^no map takes topic "tele\/plug-1\/STATE": telltale map propose prints one/)
  assert.match(told[0]?.message ?? '', /by its map the message is of device plug-2, and its sender is device plug-1/)
  const metrics = await (await fetch(`${platform.url}/metrics`)).text()
  // The empty message and the one that its map ignores are left; two are taken, one of which cannot be read.
  const outcomes = [...metrics.matchAll(/^telltale_broker_foreign_messages_total\{outcome="(\w+)"\} (\d+)$/gm)]
  const expected = { forbidden: 1, left: 2, unmapped: 1, taken: 2 }
  assert.deepEqual(Object.fromEntries(outcomes.map(([, outcome, count]) => [outcome, Number(count)])), expected)
  const shown = await platform.telltale('deadletters', 'show', '1')
  assert.match(shown, /^topic {7}tele\/plug-1\/SENSOR$/m)
  assert.match(shown, /by the map at .*m\.yaml:4/)

  // Mended, it is replayed: its topic went with it.
  mapped.write('m.yaml', `${maps}  none: [warm]\n`)
  await until(() => platform.output.includes('other maps are in force'))
  await platform.telltale('deadletters', 'replay', '--all')
  const after = await platform.settled()
  assert.deepEqual([after.accepted, after.stored, after.deadLettered], [3, 2, 1])

  const stranger = await assert.rejects(
    mapped.device('plug-2', { will: { ...will, topic: 'other/LWT' } }),
    /Not authorized/,
  )
  assert.equal(stranger, undefined)
})

test('maps are read while running: a new one in two seconds, a broken one is told with its line, and the old stays', async (t) => {
  const mapped = await MappedPlatform.start(t, {})
  const { platform } = mapped
  const plug = await mapped.device('plug-1')
  const publish = () => plug.publishAsync('x/plug-1', '{"a":1}', { qos: 1 })
  const accepted = async () => (await platform.ledger()).accepted
  await publish()
  assert.equal(await accepted(), 0, 'no map, no message')
  mapped.write('x.yaml', 'topic: x/{device}\nstream: x\n')
  await until(async () => {
    await publish()
    return (await accepted()) > 0
  })
  mapped.write('y.yaml', 'topic: y/{device}\nstream: y\nfeilds: {}\n')
  await until(() =>
    /y\.yaml:3: \\"feilds\\" is nothing that a map has.*nothing of that file is in force/.test(platform.output),
  )
  await publish()
  const before = await platform.settled()
  assert.deepEqual([before.deadLettered, before.accepted], [0, before.stored])
  // Nobody has to look twice: what was taken by a new map is read by it.
  mapped.write('y.yaml', 'topic: x/{device}/b\nstream: xb\n')
  await until(async () => {
    await plug.publishAsync('x/plug-1/b', '{"a":1}', { qos: 1 })
    return (await accepted()) > before.accepted
  })
  const after = await platform.settled()
  const letters = await platform.telltale('deadletters', 'list')
  assert.deepEqual([after.deadLettered, after.accepted], [0, after.stored], letters)
})

test('a start goes on with what a broken file said when it was in force last, and is refused, with all faults, if it never was', async (t) => {
  const good = 'topic: x/{device}\nstream: x\n'
  const mapped = await MappedPlatform.start(t, { 'x.yaml': good, 'y.yaml': 'topic: y/{device}\nstream: y\n' })
  const { platform } = mapped
  assert.equal(await platform.stop(), 0)
  mapped.write('x.yaml', 'topic: x/{device}\nsteam: x\n')
  mapped.write('y.yaml', 'topic: y/{device}\nstream: Y\n')
  await platform.start()
  await until(() => /x\.yaml:2: .*steam.*; what that file was before stays in force/.test(platform.output))
  assert.match(platform.output, /y\.yaml:2: .*cannot be a stream.*; what that file was before stays in force/)
  const plug = await mapped.device('plug-1')
  await plug.publishAsync('x/plug-1', '{"a":1}', { qos: 1 })
  plug.end(true)
  assert.equal((await platform.settled()).stored, 1)
  // Once more, for the copy must not be that of the broken file.
  await platform.kill()
  await platform.start()
  mapped.write('x.yaml', good)
  mapped.write('y.yaml', 'topic: y/{device}\nstream: y\n')
  await until(() => platform.output.includes('all maps files can be used again, and say what is in force'))
  assert.equal(await platform.stop(), 0)

  mapped.write('x.yaml', 'topic: x/{device}\nsteam: x\n')
  mapped.write('z.yaml', 'topic: z/{device}\n')
  mapped.writeDevice('d.yaml', 'user: kitchen\n')
  await assert.rejects(platform.start(), (error: Error) => {
    assert.match(error.message, /z\.yaml:1: it has no stream; and .*x\.yaml:2: "steam" is nothing that a map has/)
    return true
  })
  mapped.write('z.yaml', '')
  await assert.rejects(platform.start(), /d\.yaml:1: it has no password/)
})

test('an app that decodes messages itself has those of maps among them, in their order', async (t) => {
  const maps = `
- topic: e/{device}
  stream: environment
  fields: { temperature: t, humidity: , pressure: , battery: , rssi: }
- topic: m/{device}
  stream: made
`
  const mapped = await MappedPlatform.start(t, { 'm.yaml': maps })
  const { platform } = mapped
  const app = connect(platform.url, { token: await platform.appToken(), encoding: avro })
  t.after(() => app.close())
  const had: [string, object][] = []
  const subscription = app.subscribe('devices/+/telemetry/#', { start: 'now' })
  void (async () => {
    for await (const { stream, values } of subscription) had.push([stream, values])
  })()
  await until(() => subscription.state === 'live')
  const client = await mapped.device('d')
  const others = { humidity: 40, pressure: 1000, battery: 50, rssi: -60 }
  for (let n = 0; n < 20; n++) {
    void client.publishAsync('e/d', JSON.stringify({ t: n, ...others }), { qos: 1 })
    void client.publishAsync('m/d', JSON.stringify({ n, [`n${n}`]: n }), { qos: 1 })
    void client.publishAsync(
      'devices/d/telemetry/environment',
      JSON.stringify({ ts: Date.now(), temperature: -1, ...others }),
      {
        qos: 1,
      },
    )
  }
  await until(
    () => had.length === 60,
    () => JSON.stringify(had),
  )
  const expected = Array.from({ length: 20 }, (_, n) => [
    ['environment', { temperature: n, ...others }],
    ['made', { n, [`n${n}`]: n }],
    ['environment', { temperature: -1, ...others }],
  ]).flat()
  assert.deepEqual(had, expected)
})

test('three processes: each reads by the map by which a message was taken, and has the columns of all', async (t) => {
  const store = await STORES['InfluxDB 2.7']?.(t)
  if (store?.options === undefined) return
  const config = scratchDirectory(t)
  mkdirSync(join(config, 'maps'))
  const directory = scratchDirectory(t)
  const ports = { mqtt: await freePort(), gateway: await freePort() }
  const options = { store: store.options, environment: { TELLTALE_CONFIG_DIR: config } }
  const processes = ['broker', 'ingest', 'gateway'].map(
    (roles) => new RunningPlatform(directory, ports, { roles, ...options }),
  )
  const [broker, , gateway] = processes
  assert(broker && gateway)
  t.after(() => Promise.all(processes.map((each) => each.kill())))
  for (const each of processes) await each.start()
  const password = await broker.deviceToken('d')
  const client = await connectAsync({ port: ports.mqtt, clientId: 'd', username: 'd', password, reconnectPeriod: 0 })
  t.after(() => client.end(true))
  const live = await LiveSocket.open(gateway.url, await gateway.appToken())
  t.after(() => live.close())
  live.send({ type: 'subscribe', id: '1', filter: 'devices/+/telemetry/#', start: 'now' })
  await live.next('live')
  for (let n = 0; n < 5; n++) {
    const { accepted } = await gateway.ledger()
    writeFileSync(join(config, 'maps', 'm.yaml'), `topic: x${n}/{device}\nstream: x\ntime: t\n`)
    const t0 = Date.now()
    await until(async () => {
      await client.publishAsync(`x${n}/d`, JSON.stringify({ t: t0, [`c${n}`]: n }), { qos: 1 })
      return (await gateway.ledger()).accepted > accepted
    })
    const ledger = await gateway.settled()
    assert.deepEqual([ledger.deadLettered, ledger.readings], [0, ledger.accepted])
    const [reading] = readingsOf(await live.next('readings'))
    assert.deepEqual([reading?.stream, reading?.values], ['x', { [`c${n}`]: n }])
  }
  const stored = await gateway.readings('')
  const values = stored.map((reading) => reading.values)
  assert.deepEqual(Object.assign({}, ...values), { c0: 0, c1: 1, c2: 2, c3: 3, c4: 4 })
})

test('by MQTT 5 the acknowledgement says of a mapped message, too, that it is set aside, and why', async (t) => {
  const map = 'topic: x/{device}\nstream: x\nfields: { a: }\n'
  const environment = { TELLTALE_MQTT5_CHECK: 'decode' }
  const mapped = await MappedPlatform.start(t, { 'x.yaml': map }, { environment })
  const client = await mapped.device('d', { protocolVersion: 5 })
  await client.publishAsync('x/d', '{"a":1}', { qos: 1 })
  await assert.rejects(
    client.publishAsync('x/d', '{"a":"warm"}', { qos: 1 }),
    (error: Error & { code: number }) => error.code === 0x99,
  )
  const ledger = await mapped.platform.settled()
  assert.deepEqual([ledger.accepted, ledger.stored, ledger.deadLettered], [2, 1, 1])
})

test('a message whose map is gone when it is read waits for a map that takes it', async (t) => {
  const map = 'topic: x/{device}\nstream: x\n'
  const mapped = await MappedPlatform.start(t, { 'x.yaml': map }, { roles: 'broker' })
  const { platform } = mapped
  const plug = await mapped.device('plug-1')
  await plug.publishAsync('x/plug-1', '{"a":1}', { qos: 1 })
  plug.end(true)
  assert.equal(await platform.stop(), 0)
  mapped.write('x.yaml', '')
  platform.roles = undefined
  await platform.start()
  assert.equal((await platform.settled()).deadLettered, 1)
  assert.match(await platform.telltale('deadletters', 'list'), /no-map/)
  mapped.write('x.yaml', map)
  await until(async () => (await platform.ledger()).accepted === 2)
  const after = await platform.settled()
  assert.deepEqual([after.stored, after.readings, after.pending], [1, 1, 0])
})

test('with kill -9 at any moment every mapped message that was acknowledged is stored', async (t) => {
  const mapped = await MappedPlatform.start(t, { 'x.yaml': 'topic: x/{device}\nstream: x\ntime: t\n' })
  const { platform } = mapped
  const start = Date.now()
  let acknowledged = 0
  for (let round = 0; round < 2; round++) {
    const plug = await mapped.device('plug-1')
    const cut = 100 + round * 37
    for (let sent = 0; sent < cut; sent++) {
      void plug.publishAsync('x/plug-1', JSON.stringify({ t: start + round * 1000 + sent, n: sent }), { qos: 1 }).then(
        () => acknowledged++,
        () => undefined,
      )
    }
    const before = acknowledged
    await until(() => acknowledged > before + 50)
    await platform.kill()
    plug.end(true)
    await platform.start()
  }
  const ledger = await platform.settled()
  assert.equal(ledger.deadLettered, 0)
  assert.equal(ledger.stored, ledger.accepted)
  assert(ledger.stored >= acknowledged, `${ledger.stored} of ${acknowledged}`)
  assert.equal(await platform.countStored('x', 'n'), ledger.readings)
})

test('a device without a token has a user name and a password, and is let in until its file says otherwise; a gateway speaks for others', async (t) => {
  const maps = 'topic: tele/{device}/SENSOR\nstream: tasmota\nfields: { temperature: }\n'
  const mapped = await MappedPlatform.start(t, { 'm.yaml': maps })
  const { platform } = mapped
  const password = await hashPassword('a secret')
  const file = (more = '') =>
    `user: kitchen\npassword: ${password}\ndevice: plug-1\nsubscribe: [ "cmnd/plug-1/#" ]\n${more}`
  mapped.writeDevice('d.yaml', file())
  const connect = (options: IClientOptions) =>
    connectAsync({ port: platform.mqttPort, username: 'kitchen', password: 'a secret', reconnectPeriod: 0, ...options })
  const will = { topic: 'tele/plug-1/LWT', payload: Buffer.from('Offline'), qos: 1 as const, retain: true }
  await assert.rejects(connect({ username: 'cellar' }))
  await until(() =>
    platform.output.includes(
      'the password is not the token of \\"cellar\\", and config/devices has no user \\"cellar\\"',
    ),
  )
  let plug: MqttClient | undefined
  await until(async () => {
    plug = await connect({ clientId: 'DVES_1', will }).catch(() => undefined)
    return plug !== undefined
  })
  assert(plug)
  t.after(() => plug?.end(true))
  await assert.rejects(connect({ clientId: 'DVES_2', password: 'another' }), /Bad (username|user name) or password/i)
  const commands: string[] = []
  plug.on('message', (topic) => commands.push(topic))
  const granted = await plug.subscribeAsync('cmnd/plug-1/POWER')
  assert.equal(granted[0]?.qos, 0)
  await assert.rejects(plug.subscribeAsync('cmnd/plug-2/POWER'))
  await plug.publishAsync('tele/plug-1/SENSOR', '{"temperature":1}', { qos: 1 })
  await plug.publishAsync('tele/plug-2/SENSOR', '{"temperature":2}', { qos: 1 })
  // A client id of its own choosing is nobody else's.
  const token = await mapped.device('DVES_1')
  assert(plug.connected && token.connected)

  const gateway = await connectAsync({
    port: platform.mqttPort,
    clientId: 'bridge',
    username: 'bridge',
    password: (await platform.telltale('token', 'device', 'bridge', '--also', 'plug-*')).trim(),
    reconnectPeriod: 0,
  })
  t.after(() => gateway.end(true))
  await gateway.publishAsync('tele/plug-3/SENSOR', '{"temperature":3}', { qos: 1 })
  await gateway.publishAsync('tele/other/SENSOR', '{"temperature":4}', { qos: 1 })
  const ledger = await platform.settled()
  assert.equal(ledger.accepted, 2)
  const devices = (await platform.readings('')).map(({ device, values }) => [device, values.temperature])
  assert.deepEqual(devices.sort(), [
    ['plug-1', 1],
    ['plug-3', 3],
  ])

  mapped.writeDevice('d.yaml', file('devices: [ "x y" ]\n'))
  await until(() => /d\.yaml:5: \\"x y\\" is no device id/.test(platform.output))
  assert(plug.connected, 'the file as it was before is in force')
  mapped.writeDevice('d.yaml', '')
  await until(() => plug?.connected === false)
  await assert.rejects(connect({ clientId: 'DVES_1' }))
})

test('one value a topic is one reading a window, and kill -9 within the window changes nothing', async (t) => {
  const maps = 'topic: shellies/{device}/sensor/{field}\nstream: shelly\ngather: 4s\n'
  const mapped = await MappedPlatform.start(t, { 's.yaml': maps })
  const { platform } = mapped
  const ht = await mapped.device('ht-1')
  const live = await mapped.live()
  // A window has just begun.
  await until(() => Date.now() % 4000 < 1000)
  await ht.publishAsync('shellies/ht-1/sensor/temperature', '21.5', { qos: 1 })
  await ht.publishAsync('shellies/ht-1/sensor/humidity', '40', { qos: 1 })
  const [first] = readingsOf(await live.next('readings'))
  assert.deepEqual(first?.values, { temperature: 21.5 }, 'live, each value comes at once')
  assert.deepEqual(readingsOf(await live.next('readings'))[0]?.values, { humidity: 40 })
  assert.equal((await platform.ledger()).pending, 2)
  await platform.kill()
  ht.end(true)
  await platform.start()
  const ledger = await platform.settled()
  assert.deepEqual([ledger.accepted, ledger.stored, ledger.readings], [2, 2, 1])
  const stored = { device: 'ht-1', stream: 'shelly', ts: first?.ts, values: { temperature: 21.5, humidity: 40 } }
  assert.deepEqual(plain(await platform.readings('')), [stored])
  const again = await mapped.live()
  again.send({ type: 'subscribe', id: '2', filter: 'devices/ht-1/telemetry/+', start: 'latest' })
  const [latest] = readingsOf(await again.next('readings'))
  assert.deepEqual(latest?.values, stored.values)
})

test('a gateway is told of what it sent for another and cannot be read, with the device, though there was a kill -9 between', async (t) => {
  const maps = `
- topic: z/{device}/{field}
  stream: z
  gather: 10s
- topic: z/{device}
  stream: z
  fields: { temperature: }
`
  const mapped = await MappedPlatform.start(t, { 'z.yaml': maps })
  const { platform } = mapped
  const password = (await platform.telltale('token', 'device', 'hub', '--also', '0x*')).trim()
  const hub = await mapped.device('hub', { password })
  // What cannot be read waits behind a window that is open: it is read after the kill.
  await until(() => Date.now() % 10_000 < 4_000)
  await hub.publishAsync('z/0x1/temperature', '21', { qos: 1 })
  await hub.publishAsync('z/0x1', '{"temperature":"warm"}', { qos: 1 })
  await hub.publishAsync('z/hub', '{"temperature":"cold"}', { qos: 1 })
  await platform.kill()
  hub.end(true)
  await platform.start()
  const again = await mapped.device('hub', { password })
  const told: Record<string, unknown>[] = []
  again.on('message', (_topic, payload) => told.push(JSON.parse(String(payload))))
  await again.subscribeAsync('devices/hub/errors')
  await until(
    () => told.length === 2,
    () => JSON.stringify(told),
  )
  const reason = (text: string) => `temperature is "${text}"; a number is right`
  assert.deepEqual(
    told.map(({ at: _at, ...report }) => report),
    [
      { code: 'invalid-reading', message: reason('warm'), device: '0x1', stream: 'z' },
      { code: 'invalid-reading', message: reason('cold'), stream: 'z' },
    ],
  )
  const ledger = await platform.settled()
  assert.deepEqual([ledger.accepted, ledger.stored, ledger.deadLettered], [3, 1, 2])
  const shown = await platform.telltale('deadletters', 'show', '1')
  assert.match(shown, /^sender {6}hub\ntopic {7}z\/0x1$/m)
})

test('what comes without a map is remembered, and the map that is proposed for it takes it from then on', async (t) => {
  const mapped = await MappedPlatform.start(t, {})
  const { platform } = mapped
  const roof = await mapped.device('roof-1')
  const publish = () => roof.publishAsync('meteo/roof-1/state', '{"air":{"t":21.5}}', { qos: 1 })
  await publish()
  await until(async () => (await platform.telltale('map', 'propose')).includes('topic: "meteo/{device}/state"'))
  const written = await platform.telltale('map', 'propose', '--write', mapped.mapsDirectory)
  assert.equal(written, `${mapped.mapsDirectory}/meteo.yaml\n`)
  await until(() => platform.output.includes('other maps are in force'))
  await publish()
  assert.equal((await platform.settled()).stored, 1)
  assert.equal(await platform.telltale('map', 'propose'), '# nothing came without a map\n')
})
