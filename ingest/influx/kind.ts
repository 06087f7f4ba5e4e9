/** Owns InfluxDB's row in the table of stores: what is known of it before it is asked anything. */

import { maskPassword } from '../../platform/setting-kinds.ts'
import type { StoreKind } from '../store.ts'
import type { InfluxOptions } from './connection.ts'
import { InfluxStore } from './store.ts'

export const INFLUX: StoreKind<InfluxOptions> = {
  isEmbedded: false,
  writersMax: Number.POSITIVE_INFINITY,
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
