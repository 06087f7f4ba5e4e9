import type { StoreOptions } from '../../ingest/stores.ts'

/** For a process that asks no store: nobody listens there. */
export const NO_STORE: StoreOptions = {
  kind: 'influx',
  url: 'http://127.0.0.1:9',
  token: 't',
  org: 'o',
  bucket: 'b',
  api: 'v2',
}
