/** Owns which language a store that somebody names is asked in: it says itself what it is. */

import { messageOf } from '../../../platform/errors.ts'
import { SimulatorError } from '../simulator-error.ts'
import { flux } from './flux.ts'
import { influxql } from './influxql.ts'
import type { StoreQuery } from './store-query.ts'
import { victoriaExport } from './victoria-export.ts'

export interface NamedStore {
  readonly url: string
  /** '' where authentication is off. */
  readonly token: string
  /** Of InfluxDB 2.x. */
  readonly org: string
  /** The bucket, or of InfluxDB 1.x the database. */
  readonly bucket: string
}

/** Throws a `SimulatorError` `store-refused` if nobody answers. */
export async function queryOf(store: NamedStore): Promise<StoreQuery> {
  const named = { ...store, url: store.url.replace(/\/$/, '') }
  // It answers `/ping` as an InfluxDB 1.8 does, and this as no InfluxDB does.
  if ((await ask(`${named.url}/api/v1/labels`)).ok) return victoriaExport(named)
  const version = (await ask(`${named.url}/ping`)).headers.get('x-influxdb-version') ?? ''
  return version.startsWith('v2') ? flux(named) : influxql(named)
}

async function ask(url: string): Promise<Response> {
  try {
    const response = await fetch(url)
    await response.text()
    return response
  } catch (cause) {
    const why = messageOf((cause as { cause?: unknown }).cause ?? cause)
    throw new SimulatorError('store-refused', `the store at ${new URL(url).origin} cannot be reached: ${why}`, {
      cause,
    })
  }
}
