/**
 * Owns where the devices are: the last position of each, live while a map is shown.
 *
 * Always true: a position is not replaced by an earlier one. However many come, whoever looks is told a few times a second.
 * Bound: `DEVICES_MAX` devices, as in the list; a position in 5 s of each series.
 */

import { batch, signal } from '@preact/signals'
import { CRS, latLng } from 'leaflet'
import { useEffect } from 'preact/hooks'
import { type Reading, TelltaleError } from '../../client/client.ts'
import { DEVICES_MAX } from '../devices/fleet.ts'
import { live } from '../gateway.ts'
import { allowed } from '../token.ts'
import type { PositionStream } from './position-streams.ts'

const POSITIONS_PER_SECOND = 0.2
/** Of one subscription (docs/contract.md). */
const FILTERS_MAX = 20
/** All marks are drawn as often while devices move: as often as each frame would be a third of a core for 5,000 of them. */
const TOLD_MS = 200

export interface Position {
  readonly ts: number
  readonly latitude: number
  readonly longitude: number
  /** On the plane of the map at zoom 0; twice as far from its corner with each zoom. */
  readonly x: number
  readonly y: number
}

const byDevice = new Map<string, Position>()

/** Another number each time that devices have moved. */
export const moves = signal(0)
/** How many devices have a position. */
export const located = signal(0)
/** Whether all that were known at the beginning have come. */
export const areAllHere = signal(false)
/** Why there are none; the gateway's own words. */
export const refusal = signal<string | undefined>(undefined)

export const positionOf = (device: string): Position | undefined => byDevice.get(device)

/** While a map is shown. */
export function usePositions(source: PositionStream | undefined): void {
  const sdk = live.value
  const { stream, latitude, longitude } = source ?? {}
  useEffect(() => {
    if (stream === undefined || latitude === undefined || longitude === undefined) return
    const left = new AbortController()
    follow(sdk, { stream, latitude, longitude }, left.signal)
    return () => {
      left.abort()
      byDevice.clear()
      batch(() => {
        located.value = 0
        areAllHere.value = false
        refusal.value = undefined
      })
    }
  }, [sdk, stream, latitude, longitude])
}

async function follow(sdk: typeof live.value, source: PositionStream, signal: AbortSignal): Promise<void> {
  const { stream, latitude, longitude } = source
  const options = { fields: [latitude, longitude], start: 'latest', maxRate: POSITIONS_PER_SECOND, signal } as const
  try {
    for await (const event of sdk.subscribe<string, string>(filtersOf(stream), options).events()) {
      if (signal.aborted) return
      if (event.type === 'readings') for (const reading of event.readings) take(reading, source)
      else if (event.type === 'live') told(() => (areAllHere.value = true))
    }
  } catch (error) {
    if (signal.aborted) return
    if (!(error instanceof TelltaleError)) throw error
    refusal.value = error.message
  }
}

/** All devices, or those that the token is for: the gateway refuses a filter that is wider than the token's. */
function filtersOf(stream: string): string[] {
  const devices = allowed.value.filters.flatMap((filter) => {
    const [root = '', device = '#', kind = '#', name = '#'] = filter.split('/')
    if (root === '#' || device === '#') return ['+']
    return ['+', '#', 'telemetry'].includes(kind) && ['+', '#', stream].includes(name) ? [device] : []
  })
  const all = devices.length === 0 || devices.includes('+')
  return (all ? ['+'] : devices.slice(0, FILTERS_MAX)).map((device) => `devices/${device}/telemetry/${stream}`)
}

function take({ device, ts, values }: Reading, source: PositionStream): void {
  const [latitude, longitude] = [values[source.latitude], values[source.longitude]]
  if (typeof latitude !== 'number' || typeof longitude !== 'number') return
  if (!(Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180)) return
  const last = byDevice.get(device)
  if (last === undefined ? byDevice.size >= DEVICES_MAX : last.ts > ts) return
  const { x, y } = CRS.EPSG3857.latLngToPoint(latLng(latitude, longitude), 0)
  byDevice.set(device, { ts, latitude, longitude, x, y })
  told()
}

let timer: ReturnType<typeof setTimeout> | undefined
let also: (() => void) | undefined

/** After `TOLD_MS`, for all that came meanwhile. */
function told(besides?: () => void): void {
  also = besides ?? also
  if (timer !== undefined) return
  timer = setTimeout(() => {
    timer = undefined
    batch(() => {
      moves.value++
      located.value = byDevice.size
      also?.()
      also = undefined
    })
  }, TOLD_MS)
}
