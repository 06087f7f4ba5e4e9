/**
 * Owns the measure of the whole path: QoS 1 to log to decode to points in a real store, until the ledger says that
 * everything accepted is stored. Telltale's process only: InfluxDB's CPU is InfluxDB's; DuckDB runs inside ours and counts.
 */

import { startInfluxdb2 } from '../test/servers/influxdb2.ts'
import { deviceNames, measureRounds, type Rounds } from './accept.ts'
import { type Figure, figure } from './figure.ts'
import type { Plan } from './plan.ts'
import { Telltale } from './telltale.ts'

const ROLES = 'broker,ingest,gateway'

export async function measurePath(plan: Plan): Promise<Figure[]> {
  const influx = await startInfluxdb2()
  const env = {
    INFLUX_URL: influx.url,
    INFLUX_TOKEN: influx.token,
    INFLUX_ORG: influx.org,
    INFLUX_BUCKET: influx.bucket,
  }
  const withInflux = await pathRounds(plan, env).finally(() => influx.stop())
  const withDuckdb = await pathRounds(plan, {})
  return [
    figure('whole path to InfluxDB 2.7', 'us CPU/msg', withInflux.cpuUs, {
      target: { atMost: 12 },
      note: "InfluxDB's CPU not counted",
    }),
    figure('whole path to InfluxDB 2.7, accept rate', 'msg/s', withInflux.perSecond, {
      note: 'InfluxDB on this box too',
    }),
    figure('whole path to DuckDB', 'us CPU/msg', withDuckdb.cpuUs, { note: "the store's CPU included" }),
    figure('whole path to DuckDB, accept rate', 'msg/s', withDuckdb.perSecond),
  ]
}

async function pathRounds(plan: Plan, env: Record<string, string>): Promise<Rounds> {
  const telltale = await Telltale.start(ROLES, env)
  try {
    const tokens = await telltale.deviceTokens(deviceNames(plan.clients))
    const app = await telltale.appToken()
    const settled = (messages: number) => telltale.untilStored(messages, app, plan.deadlineMs)
    return await measureRounds({ port: telltale.mqttPort, tokens, cpuMs: () => telltale.cpuMs(), settled }, plan)
  } finally {
    await telltale.stop()
  }
}
