/**
 * Owns the distinct subscriptions of all apps. Apps that asked for the same (selection, fields, options) share a group:
 * one name, one topic of the server, and each frame encoded once.
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

/** What an app asks for. Options that change the frames (a rate, a reduction) belong in here when they come. */
export interface Wanted {
  readonly selection: Selection
  /** Columns to send; all if absent. */
  readonly fields?: readonly string[]
}

export interface Group {
  /** The subscription's name to apps, and its topic. */
  readonly name: string
  readonly key: string
  readonly selection: Selection
  readonly fields: ReadonlySet<string> | undefined
  /** Groups of the same fields share the encoding of a reading under this key; empty for all columns. */
  readonly fieldsKey: string
  /** Subscriptions of sockets. */
  readonly members: number
}

type MutableGroup = Group & { members: number }

/** In place of a device or a stream: any. Neither may be empty. */
const ANY = ''

export class Groups {
  readonly #byKey = new Map<string, MutableGroup>()
  readonly #index = new Map<string, Map<string, MutableGroup[]>>()
  #named = 0
  #subscriptions = 0

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

  /** The group of those who want the same, with one member more; undefined if it would be one group too many. */
  join(wanted: Wanted): Group | undefined {
    const fields = wanted.fields && [...new Set(wanted.fields)].sort()
    const key = JSON.stringify([wanted.selection.device, wanted.selection.stream, fields])
    const group = this.#byKey.get(key) ?? this.#open(key, wanted.selection, fields)
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
    return several ?? only
  }

  #open(key: string, selection: Selection, fields: readonly string[] | undefined): MutableGroup | undefined {
    if (this.#byKey.size >= LIVE_GROUPS_MAX) return undefined
    const name = `s${++this.#named}`
    const fieldsKey = fields?.join('\n') ?? ''
    const group = { name, key, selection, fields: fields && new Set(fields), fieldsKey, members: 0 }
    this.#byKey.set(key, group)
    const { device = ANY, stream = ANY } = selection
    const ofDevice = this.#index.get(device) ?? new Map<string, MutableGroup[]>()
    this.#index.set(device, ofDevice)
    // A new list each time: a list that was handed out by `match` must not change under its reader.
    ofDevice.set(stream, [...(ofDevice.get(stream) ?? []), group])
    return group
  }

  #close(group: MutableGroup): void {
    this.#byKey.delete(group.key)
    const { device = ANY, stream = ANY } = group.selection
    const ofDevice = this.#index.get(device)
    const left = ofDevice?.get(stream)?.filter((other) => other !== group) ?? []
    if (left.length > 0) ofDevice?.set(stream, left)
    else ofDevice?.delete(stream)
    if (ofDevice?.size === 0) this.#index.delete(device)
  }
}

const NONE: readonly Group[] = []
