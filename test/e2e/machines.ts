/**
 * Owns the machines whose readings other people's encoders write: one platform for all of them, with the stream `machine`, and what has
 * to be stored and live of three readings, whoever wrote them.
 */

import assert from 'node:assert/strict'
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { connectAsync } from 'mqtt'
import { connect, type Subscription } from '../../client/client.ts'
import { SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { scratchDirectory } from '../scratch.ts'
import { until } from '../until.ts'
import { RunningPlatform } from './platform.ts'

/** The time of the first reading; the others follow a millisecond apart. */
export const TS = Date.now() - 60_000

const ZERO = { line: undefined, state: 'stopped', cycles: 0, offset: 0, alarm: false }
const FULL = { temperature: 21.3, line: 'Süd-3', state: 'running', motor_speed: 1450, motor_load: 0.75 }
const EXPECTED = [
  { ts: TS, values: { ...FULL, cycles: 2 ** 53 - 2, offset: -7, alarm: true } },
  { ts: TS + 1, values: { ...ZERO } },
  { ts: TS + 2, values: { ...ZERO, temperature: 0, offset: 2 ** 31 - 1 } },
].map(({ ts, values }) => ({ ts, values: JSON.parse(JSON.stringify(values)) as Record<string, unknown> }))

export class Machines {
  readonly #schema: { readonly name: string; readonly text: string }
  readonly #cleanUp: (() => unknown)[] = []
  #platform: Promise<RunningPlatform> | undefined

  /** By this file of `schemas/machine/`. */
  constructor(schema: { readonly name: string; readonly text: string }) {
    this.#schema = schema
  }

  async stop(): Promise<void> {
    for (const each of this.#cleanUp.reverse()) await each()
  }

  /** Sends messages, in hexadecimal digits, each to what follows the device's topic, and expects their readings. */
  async arrive(
    t: TestContext,
    device: string,
    messages: readonly (readonly [level: string, hex: string])[],
  ): Promise<void> {
    this.#platform ??= this.#start()
    const platform = await this.#platform
    const live = connect(platform.url, { token: await platform.appToken() })
    t.after(() => live.close())
    const filter = `devices/${device}/telemetry/machine`
    const seen = follow(live.subscribe(filter))
    await until(() => seen.isLive)
    const password = await platform.deviceToken(device)
    const client = await connectAsync({ port: platform.mqttPort, clientId: device, username: device, password })
    t.after(() => client.endAsync(true))
    for (const [level, hex] of messages) {
      await client.publishAsync(`${filter}${level}`, Buffer.from(hex, 'hex'), { qos: 1 })
    }
    await until(
      () => seen.readings.length === EXPECTED.length,
      () => `all are live: ${JSON.stringify(seen.readings)}`,
    )
    assert.deepEqual(seen.readings, EXPECTED)
    await platform.settled()
    const stored = await platform.readings(`filter=${filter}`)
    assert.deepEqual(
      stored.map(({ ts, values }) => ({ ts, values })),
      EXPECTED,
    )
  }

  async #start(): Promise<RunningPlatform> {
    const scope = { after: (each: () => unknown) => this.#cleanUp.push(each) } as unknown as TestContext
    const schemas = join(scratchDirectory(scope), 'schemas')
    cpSync(SHIPPED_SCHEMAS_DIR, schemas, { recursive: true, filter: (path) => !path.endsWith('.ts') })
    mkdirSync(join(schemas, 'machine'))
    writeFileSync(join(schemas, 'machine', this.#schema.name), this.#schema.text)
    return RunningPlatform.start(scope, { environment: { TELLTALE_SCHEMAS_DIR: schemas } })
  }
}

function follow(subscription: Subscription) {
  const seen = { isLive: false, readings: [] as { ts: number; values: object }[] }
  const read = async () => {
    for await (const event of subscription.events()) {
      if (event.type === 'live') seen.isLive = true
      if (event.type === 'readings') seen.readings.push(...event.readings.map(({ ts, values }) => ({ ts, values })))
    }
  }
  void read()
  return seen
}
