/**
 * Owns the distinct subscriptions of all apps. Apps that asked for the same (filters, fields, rate, form) share a group:
 * one name, one topic of the server, one feed, and each frame encoded once.
 *
 * Always true: a group has at least one member; its name is never given to another. Bound: `LIVE_GROUPS_MAX`; when
 * full, a new one is refused.
 *
 * Which groups want a message is found without a cache: a filter over telemetry comes down to a device or any, and a
 * stream or any, so four exact look-ups find all of them. Nothing needs to be invalidated when subscriptions change.
 */

import assert from 'node:assert/strict'
import { LIVE_GROUPS_MAX } from '../../platform/limits.ts'
import type { Selection } from '../../schemas/history.ts'
import { type Encoding, encodingOf } from './encoding.ts'
import type { Feed, FeedTarget } from './feed.ts'
import type { Rate } from './rate.ts'

/** What an app asks for. */
export interface Wanted {
  /** The union of these; at least one. */
  readonly selections: readonly Selection[]
  /** Columns to send; all if absent. */
  readonly fields?: readonly string[]
  readonly maxDelayMs?: number
  readonly rate?: Rate
  /** The messages as they came, undecoded. */
  readonly isRaw?: boolean
  /** The readings in Protobuf. */
  readonly isProtobuf?: boolean
}

export class Group implements FeedTarget {
  readonly name: string
  readonly key: string
  readonly wanted: Wanted
  readonly fields: ReadonlySet<string> | undefined
  readonly fieldsKey: string
  readonly maxDelayMs: number | undefined
  readonly encoding: Encoding
  /** What the live tail takes in for it. */
  readonly feed: Feed
  /** Subscriptions of apps. */
  members = 0
  /** Of these, the ones that get what is published: not those that are behind, or have the past sent. */
  live = 0
  /** When a frame was last sent to all of it, milliseconds. */
  publishedAt = 0

  constructor(name: string, key: string, wanted: Wanted, makeFeed: (group: Group) => Feed) {
    this.name = name
    this.key = key
    this.wanted = wanted
    this.fields = wanted.fields && new Set(wanted.fields)
    this.fieldsKey = wanted.fields?.join('\n') ?? ''
    this.maxDelayMs = wanted.maxDelayMs
    this.encoding = encodingOf(wanted.isProtobuf)
    this.feed = makeFeed(this)
  }

  wants(device: string, stream: string): boolean {
    for (const own of this.wanted.selections) {
      if ((own.device ?? device) === device && (own.stream ?? stream) === stream) return true
    }
    return false
  }
}

/** In place of a device or a stream: any. Neither may be empty. */
const ANY = ''

export class Groups {
  readonly #makeFeed: (group: Group) => Feed
  readonly #byKey = new Map<string, Group>()
  readonly #reduced = new Set<Group>()
  readonly #index = new Map<string, Map<string, Group[]>>()
  #named = 0
  #subscriptions = 0
  /** Groups of more than one selection: a message may be found for one twice. */
  #unions = 0

  constructor(makeFeed: (group: Group) => Feed) {
    this.#makeFeed = makeFeed
  }

  get size(): number {
    return this.#byKey.size
  }

  /** Memberships of all groups. */
  get subscriptions(): number {
    return this.#subscriptions
  }

  all(): Iterable<Group> {
    return this.#byKey.values()
  }

  /** Those whose readings wait for a window's end. */
  get reduced(): ReadonlySet<Group> {
    return this.#reduced
  }

  /** The group of those who want the same, with one member more; undefined if it would be one group too many. */
  join(wanted: Wanted): Group | undefined {
    const selections = distinct(wanted.selections)
    const fields = wanted.fields && [...new Set(wanted.fields)].sort()
    const { maxDelayMs, rate, isRaw, isProtobuf } = wanted
    const key = JSON.stringify([selections, fields, maxDelayMs, rate?.maxRate, rate?.reduce, isRaw, isProtobuf])
    const group = this.#byKey.get(key) ?? this.#open(key, { ...wanted, selections, ...(fields && { fields }) })
    if (group) {
      group.members++
      this.#subscriptions++
    }
    return group
  }

  leave(group: Group): void {
    const own = this.#byKey.get(group.key)
    assert(own === group, 'a group is left only by its members')
    own.members--
    this.#subscriptions--
    if (own.members === 0) this.#close(own)
  }

  /** The groups that want messages of `device` and `stream`. */
  match(device: string, stream: string): readonly Group[] {
    if (this.#byKey.size === 0) return NONE
    const ofDevice = this.#index.get(device)
    const ofAny = this.#index.get(ANY)
    const found = [ofDevice?.get(stream), ofDevice?.get(ANY), ofAny?.get(stream), ofAny?.get(ANY)]
    let only: readonly Group[] = NONE
    let several: Group[] | undefined
    for (const groups of found) {
      if (groups === undefined) continue
      if (only === NONE) only = groups
      else several = [...(several ?? only), ...groups]
    }
    if (several === undefined) return only
    return this.#unions === 0 ? several : [...new Set(several)]
  }

  #open(key: string, wanted: Wanted): Group | undefined {
    if (this.#byKey.size >= LIVE_GROUPS_MAX) return undefined
    const group = new Group(`s${++this.#named}`, key, wanted, this.#makeFeed)
    this.#byKey.set(key, group)
    if (wanted.rate !== undefined) this.#reduced.add(group)
    if (wanted.selections.length > 1) this.#unions++
    for (const { device = ANY, stream = ANY } of wanted.selections) {
      const ofDevice = this.#index.get(device) ?? new Map<string, Group[]>()
      this.#index.set(device, ofDevice)
      // A new list each time: a list that was handed out by `match` must not change under its reader.
      ofDevice.set(stream, [...(ofDevice.get(stream) ?? []), group])
    }
    return group
  }

  #close(group: Group): void {
    this.#byKey.delete(group.key)
    this.#reduced.delete(group)
    if (group.wanted.selections.length > 1) this.#unions--
    for (const { device = ANY, stream = ANY } of group.wanted.selections) {
      const ofDevice = this.#index.get(device)
      const left = ofDevice?.get(stream)?.filter((other) => other !== group) ?? []
      if (left.length > 0) ofDevice?.set(stream, left)
      else ofDevice?.delete(stream)
      if (ofDevice?.size === 0) this.#index.delete(device)
    }
    group.feed.drop()
  }
}

/** Each once, in an order of its own: two apps that name the same filters want the same. */
function distinct(selections: readonly Selection[]): Selection[] {
  const byText = new Map(
    selections.map((selection) => [`${selection.device ?? ANY}/${selection.stream ?? ANY}`, selection]),
  )
  return [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, selection]) => selection)
}

const NONE: readonly Group[] = []
