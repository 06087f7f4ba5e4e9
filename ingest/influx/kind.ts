/** Owns InfluxDB's row in the table of stores: what is known of it before it is asked anything. */

import { maskPassword } from '../../platform/setting-kinds.ts'
import type { StoreKind } from '../store.ts'
import { InfluxStore } from './store.ts'

export interface InfluxOptions {
  readonly kind: 'influx'
  /** Base URL, without `/api/v2`. */
  readonly url: string
  /** A token; with `v1` `user:password`; empty for none. */
  readonly token: string
  /** Organisation (`v2`). */
  readonly org: string
  /** Bucket (`v2`) or database (`v1`). */
  readonly bucket: string
  readonly api: 'v1' | 'v2'
}

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
