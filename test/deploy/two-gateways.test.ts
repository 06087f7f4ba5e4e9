/** Two gateways on one log, behind nginx as docs/deploy.md has it: one goes, and its apps go on after their cursors on the other. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { connectAsync } from 'mqtt'
import { RunningPlatform } from '../e2e/platform.ts'
import { Events } from '../gateway/live/events.ts'
import { App, environment, type Frame, SERVERS } from '../gateway/platform.ts'
import { scratchDirectory } from '../scratch.ts'
import { NO_STORE } from '../servers/no-store.ts'
import { freePort, requireProgram } from '../servers/server.ts'
import { until } from '../until.ts'
import { documented, startNginx } from './proxies.ts'

const APPS_OF_A_KIND = 6
/** Readings that each app has between one thing that happens and the next. */
const READINGS_BETWEEN = 50

type Door = 'WebSocket' | 'events'
type Where = Parameters<typeof App.connect>[1]

/** An app that comes back at once whenever it is cut off, after the last cursor it has had. */
class Faithful {
  readonly door: Door
  /** Of the readings, in the order in which they came. */
  readonly numbers: number[] = []
  /** What it was told when it was closed, if anything. */
  readonly closings: Frame[] = []
  connects = 0
  isLive = false
  readonly #context: TestContext
  readonly #where: Where
  readonly #begin: number
  #cursor: string | undefined
  #taken = 0

  constructor(t: TestContext, door: Door, where: Where, begin: number) {
    this.door = door
    this.#context = t
    this.#where = where
    this.#begin = begin
  }

  /** Resolves when `isOver` does, which is looked at after each frame; rejects when it is not let in. */
  async follow(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      this.connects++
      this.#taken = 0
      const { frames, next } = this.door === 'events' ? await this.#openEvents() : await this.#openSocket()
      const isDone = () => {
        this.#take(frames)
        return isOver()
      }
      // It is rejected when the connection ends.
      await next(isDone).catch(() => undefined)
      this.#take(frames)
      this.isLive = false
    }
  }

  async #openEvents() {
    const headers: Record<string, string> = this.#cursor === undefined ? {} : { 'last-event-id': this.#cursor }
    const events = await Events.ask(this.#context, this.#where, 'filter=%23', { headers })
    assert.equal(events.response.statusCode, 200)
    return { frames: events.frames, next: (state: () => boolean) => events.until(state) }
  }

  async #openSocket() {
    const app = await App.connect(this.#context, this.#where)
    const start = this.#cursor === undefined ? 'now' : { after: this.#cursor }
    app.send({ type: 'subscribe', id: '1', filter: '#', start })
    return { frames: app.frames, next: (state: () => boolean) => app.until(state) }
  }

  #take(frames: readonly Frame[]): void {
    for (; this.#taken < frames.length; this.#taken++) {
      const frame = frames[this.#taken]
      if (frame === undefined) continue
      if (typeof frame.cursor === 'string') this.#cursor = frame.cursor
      if (frame.type === 'live') this.isLive = true
      else if (frame.type === 'closing') this.closings.push(frame)
      else if (frame.type === 'readings') {
        const readings = frame.readings as readonly { readonly ts: number }[]
        this.numbers.push(...readings.map(({ ts }) => ts - this.#begin))
      } else assert.match(frame.type, /^(welcome|subscribed)$/)
    }
  }
}

test('two gateways behind nginx: of one that is killed, and of one that is stopped, every app goes on at the other', async (t) => {
  const program = requireProgram(t, 'nginx', 'apt install nginx')
  if (program === undefined) return
  const directory = scratchDirectory(t)
  const mqtt = await freePort()
  const processes = await Promise.all(
    ['broker', 'gateway', 'gateway'].map(async (roles, index) => {
      // What serves them differs too, where both can be had.
      const environment = { TELLTALE_GATEWAY_SERVER: SERVERS[index - 1] ?? 'auto' }
      return new RunningPlatform(
        directory,
        { mqtt, gateway: await freePort() },
        { roles, store: NO_STORE, environment },
      )
    }),
  )
  t.after(() => Promise.all(processes.map((each) => each.kill())))
  for (const each of processes) await each.start()
  const [broker, one, other] = processes
  assert(broker && one && other)

  const port = await freePort()
  const upstream = documented('nginx-two').replace('8080', `${one.gatewayPort}`).replace('8081', `${other.gatewayPort}`)
  const server = documented('nginx')
    .replace(/^upstream .*\n/m, () => upstream)
    .replace('listen 80;', `listen 127.0.0.1:${port};`)
  await startNginx(t, program, port, `http {\n${server}}\n`)

  const where = { url: `http://127.0.0.1:${port}`, token: await broker.appToken() }
  const begin = Date.now() - 3_600_000
  const doors: readonly Door[] = ['WebSocket', 'events']
  const apps = doors.flatMap((door) =>
    Array.from({ length: APPS_OF_A_KIND }, () => new Faithful(t, door, where, begin)),
  )
  let sent = 0
  let isOver = false
  const following = Promise.all(apps.map((app) => app.follow(() => isOver && app.numbers.at(-1) === sent - 1)))
  let failure: unknown
  following.catch((error: unknown) => {
    failure = error
  })
  const isTrue = async (state: () => boolean | Promise<boolean>) => {
    const isSo = async () => {
      if (failure !== undefined) throw failure
      return state()
    }
    await until(isSo, () => `${state}`)
  }
  await isTrue(() => apps.every(({ isLive }) => isLive))

  const password = await broker.deviceToken('truck-7')
  const device = await connectAsync({ port: mqtt, clientId: 'truck-7', username: 'truck-7', password })
  t.after(() => device.end(true))
  const publish = () => {
    const payload = JSON.stringify(environment(begin + sent++))
    return device.publishAsync('devices/truck-7/telemetry/environment', payload, { qos: 1 })
  }
  let isEnough = false
  const publishing = (async () => {
    while (!isEnough) await publish()
  })()
  const allHave = (count: number) => isTrue(() => apps.every(({ numbers }) => numbers.length >= count))

  await allHave(READINGS_BETWEEN)
  const atOne = await socketsOf(one)
  assert.equal(atOne + (await socketsOf(other)), apps.length)
  assert.ok(atOne > 0 && atOne < apps.length, `one gateway has ${atOne} apps of ${apps.length}`)
  await one.kill()
  await isTrue(async () => (await socketsOf(other)) === apps.length)
  await allHave(sent + READINGS_BETWEEN)
  assert.equal(apps.filter(({ connects }) => connects === 2).length, atOne, 'the others were not disturbed')

  await one.start()
  assert.equal(await other.stop(), 0)
  await isTrue(async () => (await socketsOf(one)) === apps.length)
  await allHave(sent + READINGS_BETWEEN)
  for (const { closings, door } of apps) assert.deepEqual([closings.length, closings[0]?.code], [1, 4001], door)
  const retries = apps.map(({ closings }) => Number(closings[0]?.retryMs))
  assert.ok(
    retries.every((ms) => ms >= 0 && ms < 5_000),
    `${retries}`,
  )
  assert.ok(new Set(retries).size > apps.length / 2, `not all at one time: ${retries}`)

  isEnough = true
  await publishing
  isOver = true
  await publish()
  await following
  const all = Array.from({ length: sent }, (_, index) => index)
  for (const { numbers, door } of apps) assert.deepEqual(numbers, all, door)
})

/** Apps of a gateway. */
async function socketsOf({ url }: RunningPlatform): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(/^telltale_gateway_sockets (\d+)$/m.exec(text)?.[1])
}
