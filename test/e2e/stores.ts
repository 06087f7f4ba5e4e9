/** Owns the stores on which the whole platform is tried, each with its own way to say what it holds. */

import type { TestContext } from 'node:test'
import type { StoreOptions } from '../../ingest/stores.ts'
import { startInfluxdb1 } from '../servers/influxdb1.ts'
import { startInfluxdb2 } from '../servers/influxdb2.ts'
import { requireServer } from '../servers/server.ts'
import { startVictoriaMetrics, type VictoriaMetrics } from '../servers/victoriametrics.ts'

export interface StoreUnderTest {
  readonly options: StoreOptions | undefined
  /** VictoriaMetrics takes InfluxDB's writes but answers no InfluxQL: it is asked by its own API. */
  readonly victoria?: VictoriaMetrics
}

type StartsStore = (t: TestContext) => Promise<StoreUnderTest | undefined>

const influx =
  (start: () => ReturnType<typeof startInfluxdb2> | ReturnType<typeof startInfluxdb1>): StartsStore =>
  async (t) => {
    const server = await requireServer<Awaited<ReturnType<typeof start>>>(t, start)
    return server && { options: server.store }
  }

/** By name; undefined when the server is not installed, and the test is then skipped or failed. */
export const STORES: Readonly<Record<string, StartsStore>> = {
  'the embedded store': async () => ({ options: undefined }),
  'InfluxDB 2.7': influx(() => startInfluxdb2()),
  'InfluxDB 1.6': influx(() => startInfluxdb1()),
  VictoriaMetrics: async (t) => {
    const victoria = await requireServer(t, startVictoriaMetrics)
    return victoria && { options: victoria.store, victoria }
  },
}
