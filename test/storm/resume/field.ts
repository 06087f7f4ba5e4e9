/**
 * Owns what the resume storm rages over: one process that appends to a log, and two gateways on it. With the embedded store, ingest is
 * in the process of the first gateway, which knows where in the log a reading stood; the second has no store that could answer, and
 * tells gaps. With InfluxDB, ingest is a process of its own, and both tell gaps.
 *
 * Always true: the process that appends is never killed, so nothing is in the log twice. The log is as small as can be.
 */

import assert from 'node:assert/strict'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { StoreOptions } from '../../../ingest/stores.ts'
import type { Ledger } from '../../../log/log.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../../schemas/registry.ts'
import { RunningPlatform } from '../../e2e/platform.ts'
import { createBucket, type Influxdb2, startInfluxdb2 } from '../../servers/influxdb2.ts'
import { NO_STORE } from '../../servers/no-store.ts'
import { freePort } from '../../servers/server.ts'
import { PUMP } from './fleet.ts'

export type StoreKind = 'embedded' | 'influx'

const ALL_SCHEMAS = 'all-schemas'
const LOG_BYTES = 16 * 2 ** 20
const HISTORY_PAGE = 100_000
const DAY_MS = 86_400_000
/** Less than what `stale` devices send. */
const BUCKET = { name: 'a-day', keepsSeconds: 86_400 }

export class Field {
  readonly directory: string
  readonly store: StoreKind
  readonly #broker: RunningPlatform
  readonly #ingest: RunningPlatform | undefined
  readonly gateways: readonly RunningPlatform[]
  readonly #influx: Influxdb2 | undefined

  /** Throws `MissingServer` if there is no InfluxDB 2.7 where it is wanted. */
  static async start(directory: string, store: StoreKind): Promise<Field> {
    for (const name of ['schemas', ALL_SCHEMAS]) {
      cpSync(join(SHIPPED_SCHEMAS_DIR, 'environment'), join(directory, name, 'environment'), { recursive: true })
    }
    addPumps(join(directory, ALL_SCHEMAS))
    const influx = store === 'influx' ? await startInfluxdb2() : undefined
    const field = new Field(directory, store, influx, await Promise.all([freePort(), freePort(), freePort()]))
    try {
      if (influx !== undefined) await createBucket(influx, BUCKET.name, BUCKET.keepsSeconds)
      await field.#broker.start()
      await field.#ingest?.start()
      await Promise.all(field.gateways.map((gateway) => gateway.start()))
    } catch (error) {
      await field.stop()
      throw error
    }
    return field
  }

  private constructor(directory: string, store: StoreKind, influx: Influxdb2 | undefined, ports: readonly number[]) {
    this.directory = directory
    this.store = store
    this.#influx = influx
    const [mqtt = 0, first = 0, second = 0] = ports
    const environment = {
      TELLTALE_SCHEMAS_DIR: join(directory, 'schemas'),
      TELLTALE_LOG_MAX_BYTES: String(LOG_BYTES),
      TELLTALE_INGEST_WORKERS: '1',
    }
    const data = mkdtempSync(join(directory, 'data-'))
    const make = (roles: string, gateway: number, of?: StoreOptions) =>
      new RunningPlatform(data, { mqtt, gateway }, { roles, environment, ...(of && { store: of }) })
    if (influx === undefined) {
      this.#broker = make('broker', first)
      this.gateways = [make('ingest,gateway', first), make('gateway', second, NO_STORE)]
    } else {
      const of = { ...influx.store, bucket: BUCKET.name }
      this.#broker = make('broker', first, of)
      this.#ingest = make('ingest', first, of)
      this.gateways = [make('gateway', first, of), make('gateway', second, of)]
    }
  }

  /** Where the log is. */
  get data(): string {
    return this.#broker.directory
  }

  /** With the schemas that the platform has only later. */
  registry(): Registry {
    return Registry.load(join(this.directory, ALL_SCHEMAS))
  }

  get mqttPort(): number {
    return this.#broker.mqttPort
  }

  get #first(): RunningPlatform {
    return this.gateways[0] ?? assert.fail('there are two gateways')
  }

  async deviceTokens(ids: readonly string[]): Promise<readonly string[]> {
    return (await this.#broker.telltale('token', 'device', ...ids)).trim().split('\n')
  }

  appToken(): Promise<string> {
    return this.#first.appToken()
  }

  /** Whether a gateway must tell nothing of a gap. */
  hasPlaces(url: string): boolean {
    return this.store === 'embedded' && url === this.#first.url
  }

  /** Everybody but the one who appends has the schema of the pumps from now on. */
  async learnPumps(): Promise<void> {
    addPumps(join(this.directory, 'schemas'))
    const readers = [...this.gateways, ...(this.#ingest ? [this.#ingest] : [])]
    await Promise.all(readers.map((each) => each.kill()))
    await Promise.all(readers.map((each) => each.start()))
  }

  /** Messages that were put through again so far. */
  async replayed(): Promise<number> {
    return (await this.#first.ledger()).replayed
  }

  /** How many. */
  async replay(stream: string): Promise<number> {
    const said = await this.#broker.telltale('deadletters', 'replay', '--stream', stream)
    return Number(/^replayed (\d+)$/m.exec(said)?.[1])
  }

  settled(): Promise<Ledger> {
    return this.#first.settled()
  }

  /** The times of all rows of a device. */
  async times(device: string, stream: string): Promise<number[]> {
    const from = Date.now() - 30 * DAY_MS
    const filter = encodeURIComponent(`devices/${device}/telemetry/${stream}`)
    const times: number[] = []
    for (let after: string | undefined = ''; after !== undefined; ) {
      const query = `filter=${filter}&from=${from}&to=${from + 32 * DAY_MS}&limit=${HISTORY_PAGE}`
      const page: { readings: { ts: number }[]; next?: string } = await this.#first.get(
        `/v1/readings?${query}${after === '' ? '' : `&after=${after}`}`,
      )
      for (const { ts } of page.readings) times.push(ts)
      after = page.next
    }
    return times
  }

  async stop(): Promise<void> {
    await Promise.all([...this.gateways, this.#ingest, this.#broker].map((each) => each?.kill()))
    await this.#influx?.stop()
    rmSync(this.directory, { recursive: true, force: true })
  }
}

function addPumps(schemas: string): void {
  const stream = join(schemas, PUMP.name)
  mkdirSync(stream)
  writeFileSync(join(stream, '1.avsc'), JSON.stringify(PUMP))
}
