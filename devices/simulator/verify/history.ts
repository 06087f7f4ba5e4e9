/**
 * Owns asking the history of a gateway for all readings of a run, and for one of them. Always true: a page is followed by its `next` until there
 * is none. Bound: `PAGE_READINGS_MAX` readings are held at once.
 */

import type { Column, Reading } from '../../../schemas/reading.ts'
import { SimulatorError } from '../simulator-error.ts'
import type { GatewayApi } from './gateway-api.ts'
import type { Sent } from './sent.ts'

const PAGE_READINGS_MAX = 20_000
const PAGE_READINGS_MIN = 100
/** So many pages at least, so that what is wrong between two of them is seen of a short run, too. */
const PAGES = 8
/** More devices than may be named in one question are asked for together with all others. */
const FILTERS_MAX = 20
/** The smallest step of a reading's time. */
const MICROSECOND_MS = 0.001

export interface StreamOfStore {
  readonly name: string
  readonly columns: readonly Column[]
}

/** Those of the run, with their columns. */
export async function streamsOf(gateway: GatewayApi, { streams }: Sent): Promise<StreamOfStore[]> {
  const { schemas } = (await gateway.get<{ schemas: readonly { stream: string; columns: readonly Column[] }[] }>(
    '/v1/schemas',
  )) ?? { schemas: [] }
  return schemas
    .filter(({ stream }) => streams.find(stream) !== undefined)
    .map(({ stream, columns }) => ({ name: stream, columns }))
}

export const tagsOf = ({ columns }: StreamOfStore): string[] => columns.filter(({ tag }) => tag).map(({ name }) => name)

export async function* readHistory(
  gateway: GatewayApi,
  {
    stream,
    devices,
    from,
    to,
    count = 0,
  }: {
    readonly stream: string
    readonly devices: readonly string[]
    readonly from: number
    readonly to: number
    /** So many are expected. */
    readonly count?: number
  },
): AsyncGenerator<Reading> {
  const limit = Math.min(PAGE_READINGS_MAX, Math.max(PAGE_READINGS_MIN, Math.ceil(count / PAGES)))
  const named = devices.length > FILTERS_MAX ? ['+'] : devices
  const filter = named.map((device) => `devices/${device}/telemetry/${stream}`)
  const pages = new Set<string>()
  for (let after: string | undefined; ; ) {
    const asked = { filter, from: from.toFixed(3), to: to.toFixed(3), limit, after }
    const page = await gateway.get<{ readings: readonly Reading[]; next?: string }>('/v1/readings', asked)
    if (page === undefined) return
    yield* page.readings
    after = page.next
    if (after === undefined) return
    if (pages.has(after)) throw new SimulatorError('refused', `history goes in a circle: it has named ${after} before`)
    pages.add(after)
  }
}

/** What history has of one device, stream and time alone. */
export async function askAgain(
  gateway: GatewayApi,
  { device, stream, ts }: Pick<Reading, 'device' | 'stream' | 'ts'>,
): Promise<Reading[]> {
  const readings: Reading[] = []
  const span = { stream, devices: [device], from: ts, to: ts + MICROSECOND_MS }
  for await (const reading of readHistory(gateway, span)) readings.push(reading)
  return readings
}
