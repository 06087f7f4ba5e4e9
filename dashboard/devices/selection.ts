/** Owns which devices are listed, and in which order: what the address says, of a fleet. Pure. */

import type { DeviceListing, DeviceState } from '../answers.ts'
import { isWell, lookOf, STATES } from '../states.ts'

export const SORTS = {
  problems: 'Problems first',
  name: 'By name',
  seen: 'Seen last first',
  quiet: 'Seen longest ago first',
} as const
export type Sort = keyof typeof SORTS

/** `problems`: all that is not well. */
export type StateFilter = DeviceState | 'problems'

export interface Wanted {
  readonly state?: StateFilter
  readonly stream?: string
  readonly site?: string
  /** `fleet:north`. */
  readonly label?: string
  /** In the id, the site or the labels; in any case. */
  readonly text: string
  readonly sort: Sort
}

export function wantedOf(query: URLSearchParams): Wanted {
  const one = (name: string) => query.get(name) || undefined
  const [state, stream, site, label, sort] = [one('state'), one('stream'), one('site'), one('label'), one('sort')]
  return {
    ...(state !== undefined && (state === 'problems' || state in STATES) && { state: state as StateFilter }),
    ...(stream !== undefined && { stream }),
    ...(site !== undefined && { site }),
    ...(label !== undefined && { label }),
    text: (one('find') ?? '').trim().toLowerCase(),
    sort: sort !== undefined && sort in SORTS ? (sort as Sort) : 'problems',
  }
}

export interface Selected {
  /** In order. */
  readonly devices: readonly DeviceListing[]
  /** Of those that fit but for their state, by state. */
  readonly counts: ReadonlyMap<DeviceState, number>
  readonly problems: number
  readonly all: number
}

export function select(devices: readonly DeviceListing[], wanted: Wanted): Selected {
  const fitting = devices.filter((listing) => fits(listing, wanted))
  const counts = new Map<DeviceState, number>()
  let problems = 0
  for (const listing of fitting) {
    counts.set(listing.state, (counts.get(listing.state) ?? 0) + 1)
    if (!isWell(listing)) problems++
  }
  const { state } = wanted
  const shown =
    state === undefined
      ? fitting
      : fitting.filter((listing) => (state === 'problems' ? !isWell(listing) : listing.state === state))
  return { devices: sorted(shown, wanted.sort), counts, problems, all: fitting.length }
}

function fits({ device, site, labels = {}, streams }: DeviceListing, wanted: Wanted): boolean {
  if (wanted.stream !== undefined && !streams.includes(wanted.stream)) return false
  if (wanted.site !== undefined && site !== wanted.site) return false
  if (wanted.label !== undefined && !labelsOf(labels).includes(wanted.label)) return false
  if (wanted.text === '') return true
  return [device, site ?? '', ...labelsOf(labels)].some((text) => text.toLowerCase().includes(wanted.text))
}

/** `fleet:north`, as the API takes them. */
export const labelsOf = (labels: Readonly<Record<string, string>> = {}): string[] =>
  Object.entries(labels).map(([name, value]) => `${name}:${value}`)

/** Those that are well are one kind, whether or not they are connected just now. */
const rankOf = (listing: DeviceListing) => lookOf(isWell(listing) ? 'online' : listing.state).rank

/** What comes first is less; of equals the name decides. */
const ORDERS: Readonly<Record<Sort, (listing: DeviceListing) => number>> = {
  problems: rankOf,
  name: () => 0,
  seen: ({ lastSeen = 0 }) => -lastSeen,
  quiet: ({ lastSeen = 0 }) => lastSeen,
}

/** Longer than any run of digits in an id. */
const DIGITS_MAX = 64

/** So that `truck-9` comes before `truck-10`. A collator that counts takes four times as long. */
const nameKeyOf = (device: string) => device.toLowerCase().replace(/\d+/g, (digits) => digits.padStart(DIGITS_MAX, '0'))

function sorted(devices: readonly DeviceListing[], sort: Sort): DeviceListing[] {
  const orderOf = ORDERS[sort]
  return devices
    .map((listing) => ({ listing, order: orderOf(listing), name: nameKeyOf(listing.device) }))
    .sort((a, b) => a.order - b.order || (a.name < b.name ? -1 : 1))
    .map(({ listing }) => listing)
}
