/** Owns a bridge over a real log, to a broker that a test has, and what to ask of both. */

import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt'
import { Bridge, type BridgeOptions } from '../../bridge/bridge.ts'
import { type Entry, readEntries } from '../../log/entry.ts'
import { LocalLog } from '../../log/local/local-log.ts'
import type { Log } from '../../log/log.ts'
import type { Offset } from '../../log/position.ts'
import { Maps, mapMaker } from '../../maps/maps.ts'
import { systemClock } from '../../platform/clock.ts'
import { silentLogger } from '../../platform/logger.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { CurrentSchemas } from '../../schemas/current-schemas.ts'
import { SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { readSchemaFiles } from '../../schemas/schema-files.ts'
import { only } from '../log/only.ts'
import { scratchDirectory } from '../scratch.ts'

const HOUR_MS = 3_600_000
export const READING = Buffer.from('{"ts":1763900000123,"temperature":21.3}')
export const TOPICS = ['devices/+/telemetry/#', 'devices/+/status']

export interface Bench {
  readonly bridge: Bridge
  readonly log: LocalLog
  readonly schemas: CurrentSchemas
  readonly unmapped: string[]
  entries(): Promise<Entry[]>
  /** As Prometheus prints it, without `telltale_bridge_`. */
  metric(series: string): Promise<number>
  stop(): Promise<void>
}

export interface BenchOptions extends Partial<BridgeOptions> {
  readonly log?: LocalLog
  /** Stands between the bridge and its log. */
  readonly through?: (log: Log) => Log
  /** The text of a file of maps. */
  readonly maps?: string
}

export async function openLog(t: Pick<TestContext, 'after'>): Promise<LocalLog> {
  const options = { directory: join(scratchDirectory(t), 'log'), writer: true, maxBytes: 2 ** 30, retentionMs: HOUR_MS }
  const log = new LocalLog(options, { clock: systemClock, logger: silentLogger(), metrics: createMetrics() })
  await log.start()
  t.after(() => log.stop())
  return log
}

/** A bridge to the broker on this port; it runs. */
export async function startBridge(
  t: Pick<TestContext, 'after'>,
  port: number,
  { log: given, through, maps: text, ...options }: BenchOptions = {},
): Promise<Bench> {
  const log = given ?? (await openLog(t))
  const metrics = createMetrics()
  const unmapped: string[] = []
  const files = {
    ...readSchemaFiles(SHIPPED_SCHEMAS_DIR),
    maps: text === undefined ? [] : [{ file: 'test.yaml', text }],
  }
  const foreign = { make: mapMaker(undefined, { keeps: false }) }
  const schemas = new CurrentSchemas({ directory: SHIPPED_SCHEMAS_DIR, readingTimeMinMs: 0, files, foreign })
  const bridge = new Bridge(
    {
      address: { host: '127.0.0.1', port },
      protocolVersion: 5,
      clientId: 'telltale-bridge',
      topics: TOPICS,
      tellsErrors: false,
      ...options,
    },
    {
      log: through?.(log) ?? log,
      presence: log.presence,
      journal: log.journal,
      maps: new Maps(schemas),
      unmapped: { note: (_sender, topic) => void unmapped.push(topic) },
      clock: systemClock,
      logger: silentLogger(),
      metrics,
    },
  )
  const stop = () => bridge.stop()
  t.after(stop)
  await bridge.start()
  return {
    bridge,
    log,
    schemas,
    unmapped,
    stop,
    entries: () => entriesOf(log),
    metric: async (series) => {
      const line = (await metrics.metrics()).split('\n').find((each) => each.startsWith(`telltale_bridge_${series} `))
      return Number(line?.split(' ').at(-1) ?? 0)
    },
  }
}

export async function entriesOf(log: LocalLog): Promise<Entry[]> {
  const shard = only(log)
  const entries: Entry[] = []
  for (let from: Offset = await shard.first(); ; ) {
    const batch = await shard.read(from)
    if (batch === undefined) return entries
    entries.push(...readEntries(batch))
    from = batch.next
  }
}

export async function client(
  t: Pick<TestContext, 'after'>,
  port: number,
  more: IClientOptions = {},
): Promise<MqttClient> {
  const opened = await connectAsync({ host: '127.0.0.1', port, reconnectPeriod: 0, protocolVersion: 4, ...more })
  opened.on('error', () => undefined)
  t.after(() => opened.endAsync(true))
  return opened
}
