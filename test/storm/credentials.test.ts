/**
 * A storm of what changes credentials, under load over TLS: tokens revoked, keys rotated, certificates renewed, SIGHUP, in the order
 * that a seed says. Nothing acknowledged may be lost, and only who was revoked may be put out. `TELLTALE_TEST_SECONDS=60` for the
 * long form; `TELLTALE_TEST_SEED` repeats one.
 */

import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { connect } from 'node:tls'
import { connectAsync, type MqttClient } from 'mqtt'
import { seededRandom } from '../../devices/simulator/signals/random.ts'
import type { Ledger } from '../../log/log.ts'
import { RunningPlatform } from '../e2e/platform.ts'
import { scratchDirectory } from '../scratch.ts'
import { selfSigned } from '../servers/certificate.ts'
import { freePort } from '../servers/server.ts'
import { until } from '../until.ts'

const SECONDS = Number(process.env.TELLTALE_TEST_SECONDS ?? 10)
const DEVICES = 50
const MESSAGES_PER_SECOND = 1_000
const PAUSE_MS_MAX = 500

test('credentials change under load: nothing acknowledged is lost, and only the revoked are out', async (t) => {
  const seed = Number(process.env.TELLTALE_TEST_SEED ?? Date.now() % 2 ** 31)
  t.diagnostic(`seed ${seed} (TELLTALE_TEST_SEED), ${SECONDS} s (TELLTALE_TEST_SECONDS)`)
  const field = await Field.begin(t)
  const fleet = await Promise.all(Array.from({ length: DEVICES }, (_, number) => field.device(`fleet-${number}`)))
  const random = seededRandom(seed, 0)
  const acts = [() => field.revokeOne(), () => field.rotate(), () => field.renew(), () => field.hangUp()]
  const load = new Load(fleet)
  const loading = load.run(SECONDS * 1_000)
  let isOver = false
  const over = () => {
    isOver = true
  }
  loading.then(over, over)
  while (!isOver) {
    await acts[random.below(acts.length)]?.()
    await pause(random.below(PAUSE_MS_MAX))
  }
  await loading
  t.diagnostic(`${load.acknowledged} acknowledged of ${load.sent}; ${JSON.stringify(field.done)}`)
  for (const act of acts) await act()
  assert.deepEqual(
    fleet.filter(({ connected }) => !connected),
    [],
  )
  assert.equal(load.acknowledged, load.sent)
  const ledger = await field.settled()
  assert(ledger.balanced)
  assert.deepEqual([ledger.accepted, ledger.stored, ledger.deadLettered], [load.sent, load.sent, 0])
  assert.equal(await field.platform.stop(), 0)
})

/** Paths. */
interface Pair {
  readonly cert: string
  readonly key: string
}

/** The platform, its certificate, and who is about to be revoked. */
class Field {
  readonly platform: RunningPlatform
  readonly #t: TestContext
  readonly #port: number
  readonly #files: Pair
  readonly done = { revoked: 0, rotated: 0, renewed: 0, hungUp: 0 }

  static async begin(t: TestContext): Promise<Field> {
    const directory = scratchDirectory(t)
    const files = { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') }
    const first = selfSigned(t)
    copyFileSync(first.cert, files.cert)
    copyFileSync(first.key, files.key)
    const port = await freePort()
    const environment = {
      TELLTALE_MQTTS_PORT: String(port),
      TELLTALE_TLS_CERT: files.cert,
      TELLTALE_TLS_KEY: files.key,
    }
    return new Field(t, await RunningPlatform.start(t, { environment }), port, files)
  }

  private constructor(t: TestContext, platform: RunningPlatform, port: number, files: Pair) {
    this.#t = t
    this.platform = platform
    this.#port = port
    this.#files = files
  }

  /** Connected once, and never again by itself: who is put out stays out. */
  async device(id: string, password?: string): Promise<MqttClient> {
    const token = password ?? (await this.platform.deviceToken(id))
    const where = { protocol: 'mqtts', host: '127.0.0.1', port: this.#port, rejectUnauthorized: false } as const
    const client = await connectAsync({ ...where, clientId: id, username: id, password: token, reconnectPeriod: 0 })
    client.on('error', () => undefined)
    this.#t.after(() => client.endAsync(true))
    return client
  }

  async revokeOne(): Promise<void> {
    const id = `revoked-${this.done.revoked++}`
    const token = await this.platform.deviceToken(id)
    const device = await this.device(id, token)
    const closed = new Promise<void>((resolve) => device.once('close', () => resolve()))
    await this.platform.telltale('token', 'revoke', id)
    await closed
    await assert.rejects(this.device(id, token), ({ code }: { code?: number }) => code === 4 || code === 5)
  }

  async rotate(): Promise<void> {
    const id = `rotated-${this.done.rotated++}`
    const [before, after] = [`${id}-before`, `${id}-after`]
    const token = await this.platform.deviceToken(before)
    await this.platform.telltale('keys', 'rotate')
    const device = await this.device(before, token)
    // The broker reads the new key within two seconds.
    const fresh = await this.platform.deviceToken(after)
    await until(async () => {
      const client = await this.device(after, fresh).catch(() => undefined)
      if (client === undefined) await pause(50)
      await client?.endAsync()
      return client !== undefined
    })
    await device.endAsync()
  }

  async renew(): Promise<void> {
    this.done.renewed++
    const pair = selfSigned(this.#t)
    for (const name of ['key', 'cert'] as const) {
      copyFileSync(pair[name], `${this.#files[name]}.new`)
      renameSync(`${this.#files[name]}.new`, this.#files[name])
    }
    const { fingerprint256 } = new X509Certificate(readFileSync(pair.cert))
    await until(async () => {
      await pause(50)
      return (await this.#served()) === fingerprint256
    })
  }

  async hangUp(): Promise<void> {
    this.done.hungUp++
    process.kill(this.platform.pid, 'SIGHUP')
  }

  async settled(): Promise<Ledger> {
    let ledger: Ledger | undefined
    await until(
      async () => {
        ledger = JSON.parse(await this.platform.telltale('ledger', '--json')) as Ledger
        return ledger.pending === 0
      },
      () => `nothing is pending: ${JSON.stringify(ledger)}`,
    )
    return ledger ?? assert.fail()
  }

  async #served(): Promise<string | undefined> {
    const socket = connect({ host: '127.0.0.1', port: this.#port, rejectUnauthorized: false })
    try {
      await once(socket, 'secureConnect')
      return socket.getPeerX509Certificate()?.fingerprint256
    } finally {
      socket.destroy()
    }
  }
}

/** Messages of the whole fleet at a steady pace, each with a time of its own. */
class Load {
  readonly #fleet: readonly MqttClient[]
  readonly #beganAt = Date.now()
  sent = 0
  acknowledged = 0

  constructor(fleet: readonly MqttClient[]) {
    this.#fleet = fleet
  }

  async run(forMs: number): Promise<void> {
    const answers: Promise<unknown>[] = []
    for (let elapsed = 0; elapsed < forMs; elapsed = Date.now() - this.#beganAt) {
      const due = Math.min((elapsed / 1_000) * MESSAGES_PER_SECOND, this.sent + MESSAGES_PER_SECOND / 10)
      while (this.sent < due) answers.push(this.#publish())
      await pause(5)
    }
    await Promise.all(answers)
  }

  async #publish(): Promise<void> {
    const number = this.sent++
    const { [number % this.#fleet.length]: device } = this.#fleet
    assert(device, 'a fleet has devices')
    const reading = {
      ts: this.#beganAt + number,
      temperature: 21.3,
      humidity: 40,
      pressure: 1013.2,
      battery: 90,
      rssi: -60,
    }
    const topic = `devices/${device.options.clientId}/telemetry/environment`
    await device.publishAsync(topic, JSON.stringify(reading), { qos: 1 })
    this.acknowledged++
  }
}
