/** Commands to devices on a whole platform, with clients nobody here wrote, and kill -9 in between. */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { connectAsync, type MqttClient } from 'mqtt'
import { HTTP_API } from '../gateway/api/openapi.ts'
import { scratchDirectory } from '../scratch.ts'
import { freePort, requireProgram } from '../servers/server.ts'
import { until } from '../until.ts'
import { RunningPlatform } from './platform.ts'

interface Shown {
  readonly id: string
  readonly state: string
  readonly payload: unknown
}

/** An app that may command trucks. */
class Dispatcher {
  readonly #platform: RunningPlatform
  readonly #headers: Record<string, string>

  constructor(platform: RunningPlatform, token: string) {
    this.#platform = platform
    this.#headers = { authorization: `Bearer ${token}` }
  }

  static async open(platform: RunningPlatform): Promise<Dispatcher> {
    const asked = ['token', 'app', '--filter', 'devices/+/telemetry/#', '--command', 'devices/truck-+']
    return new Dispatcher(platform, (await platform.telltale(...asked)).trim())
  }

  async ask(method: string, target: string, body?: object): Promise<{ status: number; answer: unknown }> {
    const headers = this.#headers
    const init = { method, headers, ...(body && { body: JSON.stringify(body) }) }
    const response = await fetch(`${this.#platform.url}${target}`, init)
    const text = await response.text()
    HTTP_API.check({ method, target, headers }, response, text)
    return { status: response.status, answer: JSON.parse(text) }
  }

  /** Resolves with its id when it is on disk. */
  async send(device: string, payload: unknown, expiresIn = '10m'): Promise<string> {
    const { status, answer } = await this.ask('POST', `/v1/devices/${device}/commands`, { payload, expiresIn })
    assert.equal(status, 202, JSON.stringify(answer))
    return (answer as { id: string }).id
  }

  async list(device: string): Promise<readonly Shown[]> {
    const { answer } = await this.ask('GET', `/v1/devices/${device}/commands`)
    return (answer as { commands: Shown[] }).commands
  }

  async untilState(device: string, id: string, state: string): Promise<void> {
    let last: Shown | undefined
    await until(
      async () => {
        last = (await this.list(device)).find((each) => each.id === id)
        return last?.state === state
      },
      () => `${id} is ${state}: ${JSON.stringify(last)}`,
    )
  }
}

/** A device that comes back by itself, subscribes each time, and has all that it was sent. */
async function truck(t: TestContext, platform: RunningPlatform, id: string) {
  const got: unknown[] = []
  const password = await platform.deviceToken(id)
  const client: MqttClient = await connectAsync({
    port: platform.mqttPort,
    clientId: id,
    username: id,
    password,
    reconnectPeriod: 50,
    reconnectOnConnackError: true,
  })
  t.after(() => client.endAsync(true))
  client.on('error', () => undefined)
  client.on('message', (_topic, payload) => got.push(JSON.parse(payload.toString())))
  await client.subscribeAsync(`devices/${id}/commands`, { qos: 1 })
  return { client, got }
}

test('mosquitto_sub gets a command that waited for it, and no other command does', async (t) => {
  const program = requireProgram(t, 'mosquitto_sub', 'apt install mosquitto-clients')
  if (program === undefined) return
  const platform = await RunningPlatform.start(t)
  const dispatcher = await Dispatcher.open(platform)
  const id = await dispatcher.send('truck-7', { lamp: true })
  await dispatcher.send('truck-8', { lamp: false })
  const who = ['-i', 'truck-7', '-u', 'truck-7', '-P', await platform.deviceToken('truck-7')]
  const what = ['-p', String(platform.mqttPort), '-q', '1', '-t', 'devices/truck-7/commands', '-C', '1']
  const { stdout } = await promisify(execFile)(program, [...what, ...who])
  assert.equal(stdout, '{"lamp":true}\n')
  await dispatcher.untilState('truck-7', id, 'acknowledged')
  assert.equal((await dispatcher.list('truck-8'))[0]?.state, 'waiting')
})

test('through kill -9 of the platform no command is lost, and none comes again whose acknowledgement was seen', async (t) => {
  const platform = await RunningPlatform.start(t)
  const dispatcher = await Dispatcher.open(platform)
  const { got } = await truck(t, platform, 'truck-7')
  const sent: number[] = []
  const seenAcknowledged = new Map<number, number>()
  for (let round = 0; round < 4; round++) {
    for (let count = 0; count < 5; count++) {
      const number = sent.length
      await dispatcher.send('truck-7', number)
      sent.push(number)
    }
    for (const { state, payload } of await dispatcher.list('truck-7')) {
      if (state !== 'acknowledged' || seenAcknowledged.has(Number(payload))) continue
      seenAcknowledged.set(Number(payload), got.filter((each) => each === payload).length)
    }
    await platform.kill()
    await platform.start()
  }
  await until(
    () => sent.every((number) => got.includes(number)),
    () => `all of ${sent.length} came: ${got}`,
  )
  await until(async () => (await dispatcher.list('truck-7')).every(({ state }) => state === 'acknowledged'))
  assert(seenAcknowledged.size > 0)
  for (const [number, times] of seenAcknowledged) {
    assert.equal(got.filter((each) => each === number).length, times, `${number} came again`)
  }
  await dispatcher.send('truck-7', 'last')
  await until(() => got.at(-1) === 'last')
})

test('the gateway takes commands while the broker is away, and the other way round, as processes of one host', async (t) => {
  const ports = { mqtt: await freePort(), gateway: await freePort() }
  const directory = scratchDirectory(t)
  const [broker, gateway] = ['broker', 'ingest,gateway'].map(
    (roles) => new RunningPlatform(directory, ports, { roles }),
  )
  assert(broker && gateway)
  t.after(() => Promise.all([broker.kill(), gateway.kill()]))
  await broker.start()
  await gateway.start()
  const dispatcher = await Dispatcher.open(gateway)
  const { got } = await truck(t, broker, 'truck-7')
  await dispatcher.untilState('truck-7', await dispatcher.send('truck-7', 1), 'acknowledged')

  await broker.kill()
  const waiting = await dispatcher.send('truck-7', 2)
  await gateway.kill()
  await broker.start()
  await until(() => got.length === 2)
  await gateway.start()
  await dispatcher.untilState('truck-7', waiting, 'acknowledged')
  assert.deepEqual(got, [1, 2])
  assert.equal(await broker.stop(), 0)
  assert.equal(await gateway.stop(), 0)
})

test('simulated devices acknowledge commands, and count them', async (t) => {
  const platform = await RunningPlatform.start(t)
  const dispatcher = await Dispatcher.open(platform)
  for (let number = 1; number <= 3; number++) await dispatcher.send(`truck-${number}`, { number })
  const { commands } = await platform.simulate(
    '--devices',
    '3',
    '--prefix',
    'truck-',
    '--rate',
    '2',
    '--duration',
    '2s',
  )
  assert.equal(commands, 3)
  for (const device of ['truck-1', 'truck-2', 'truck-3']) {
    await until(async () => (await dispatcher.list(device))[0]?.state === 'acknowledged')
  }
})
