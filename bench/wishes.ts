/** Owns what the apps of a load ask for. */

import { REDUCTIONS } from '../gateway/live/rate.ts'
import { telemetryTopic } from '../identity/topics.ts'

/** Members of the command. */
export interface Wish {
  readonly filter: readonly string[]
  readonly fields?: readonly string[]
  readonly maxRate?: number
  readonly reduce?: string
  readonly start?: { readonly after: string }
}

/** Of the stream that the devices of a load publish. */
const STREAM = 'environment'
const FIELDS = ['temperature', 'humidity', 'pressure', 'battery', 'rssi']

export const EVERYTHING: readonly string[] = [telemetryTopic('+', STREAM)]

/** `count` devices from number `first` on, and around. */
const some = (devices: readonly string[], first: number, count: number): string[] =>
  Array.from({ length: count }, (_, index) => telemetryTopic(devices[(first + index) % devices.length] ?? '', STREAM))

/** Most look at a device or a few; some at many, as dashboards do, and seldom; two of a thousand take everything. */
export function mixedWishes(devices: readonly string[], count: number): Wish[] {
  return Array.from({ length: count }, (_, index) => {
    const kind = index % 10
    if (index % 500 === 9) return { filter: EVERYTHING }
    if (index % 100 === 8) return { filter: EVERYTHING, maxRate: 1, reduce: 'mean' }
    if (kind < 5) return { filter: some(devices, index, 1) }
    if (kind < 7) return { filter: some(devices, index, 5), fields: FIELDS.slice(0, 2) }
    if (kind === 7) return { filter: some(devices, index, 1), maxRate: 2 }
    return { filter: some(devices, index, 20), ...(kind === 8 && { maxRate: 1, reduce: 'mean' }) }
  })
}

/** No two alike: up to ten devices, one to five columns, two of three with each reading and the others with a rate of their own. */
export function distinctWishes(devices: readonly string[], count: number): Wish[] {
  const wishes = Array.from({ length: count }, (_, index) => {
    const filter = some(devices, index * 7, 1 + (index % 10))
    const fields = FIELDS.filter((_, bit) => ((1 + (index % 31)) >> bit) & 1)
    if (index % 3 > 0) return { filter, fields }
    return { filter, fields, maxRate: 0.5 + (index % 40) / 4, reduce: REDUCTIONS[index % REDUCTIONS.length] ?? 'last' }
  })
  if (new Set(wishes.map((wish) => JSON.stringify(wish))).size < count) throw new Error('two apps ask for the same')
  return wishes
}
