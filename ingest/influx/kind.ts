/** Owns InfluxDB's row in the table of stores: what is known of it before it is asked anything. */

import { maskPassword } from '../../platform/setting-kinds.ts'
import type { StoreKind } from '../store.ts'
import type { InfluxOptions } from './connection.ts'
import { InfluxStore } from './store.ts'

export const INFLUX: StoreKind<InfluxOptions> = {
  isEmbedded: false,
  writersMax: Number.POSITIVE_INFINITY,
  // 5,000 lines is InfluxDB's documented optimum. Of 5,000 messages a second each cost 25 us here and 26 us there when a request
  // began every 25 ms; so 10 and 14.
  writes: { entriesMax: 5_000, intervalMs: 250 },
  optionsFrom: ({ influxUrl, influxToken, influxOrg, influxBucket, influxApi }) => ({
    kind: 'influx',
    url: influxUrl ?? '',
    token: influxToken,
    org: influxOrg,
    bucket: influxBucket,
    api: influxApi,
  }),
  describe: ({ influxUrl }) => `InfluxDB at ${maskPassword(influxUrl ?? '')}`,
  create: async (options, deps) => new InfluxStore(options, deps),
}
