/**
 * Owns the records of the `books` stream: changes to what is known of a shard, each applied by everybody, in their order (`replica.ts`).
 *
 * Always true: what a change comes to depends on the changes before it and on itself alone, so every process comes to the same. So each brings
 * the time and the bounds that it is judged by. One with the id of an earlier one is that one once more, and changes nothing.
 */

import { pack, unpack } from 'msgpackr'
import type { CommandChange, NewCommand } from '../commands.ts'
import type { DeadLetterFilter, NewDeadLetter, Progress } from '../log.ts'
import type { DevicePresence } from '../presence.ts'
import type { Role } from '../roles.ts'
import type { Gathered } from '../tables/journal-records.ts'

/** What the shards are of. The first of a shard's books, and the one that counts. */
export interface Begin {
  readonly kind: 'begin'
  readonly format: number
  readonly log: string
  readonly shards: number
  readonly shard: number
}

/** A dead letter that waits for the change which sets it aside. */
export interface Letter {
  readonly kind: 'letter'
  readonly letter: NewDeadLetter
}

/** A reader has passed entries, or nothing of it is so: if it was not at `from`. */
export interface Pass {
  readonly kind: 'pass'
  readonly reader: string
  readonly from: number
  readonly progress: Omit<Progress, 'deadLetters'>
  /** Ids of the letters of those that it sets aside. */
  readonly letters: readonly string[]
  /** Ids of the letters of those that were to be set aside from the beginning. */
  readonly lettersBefore: readonly string[]
  /** Dead letters, by number, that were put through again and are among what it has passed. */
  readonly replayed: readonly number[]
  readonly bytesMax: number
}

export interface Replayed {
  readonly kind: 'replayed'
  readonly letters: readonly number[]
}

export interface Purge {
  readonly kind: 'purge'
  readonly filter: DeadLetterFilter
  readonly after: number
  readonly upTo: number
}

/** What is known of a device's connection, if its last change was at `basis`. */
export interface PresenceChange {
  readonly kind: 'presence'
  readonly device: string
  readonly basis: number
  readonly record: Omit<DevicePresence, 'device'>
}

export interface CommandAdd {
  readonly kind: 'command'
  readonly command: NewCommand
}

export interface CommandChanges {
  readonly kind: 'commands'
  readonly device: string
  readonly changes: readonly CommandChange[]
}

export interface CommandExpiry {
  readonly kind: 'expiry'
}

export interface Noted {
  readonly kind: 'noted'
  readonly gathered: readonly (readonly [name: string, gathered: Gathered])[]
}

/** A process is there: the first of these says that it has come. */
export interface Beat {
  readonly kind: 'beat'
  readonly member: string
  /** In words that a person finds it by. */
  readonly process: string
}

/** A process was not heard of since its beat at this offset. */
export interface Gone {
  readonly kind: 'gone'
  readonly member: string
  readonly beat: number
}

export interface RoleChange {
  readonly kind: 'role'
  readonly member: string
  readonly role: Role
  readonly isPlayed: boolean
}

export interface Claim {
  readonly kind: 'claim'
  readonly name: string
  readonly member: string
  readonly isReleased: boolean
}

export type Change =
  | Begin
  | Letter
  | Pass
  | Replayed
  | Purge
  | PresenceChange
  | CommandAdd
  | CommandChanges
  | CommandExpiry
  | Noted
  | Beat
  | Gone
  | RoleChange
  | Claim

const KINDS: Record<Change['kind'], true> = {
  begin: true,
  letter: true,
  pass: true,
  replayed: true,
  purge: true,
  presence: true,
  command: true,
  commands: true,
  expiry: true,
  noted: true,
  beat: true,
  gone: true,
  role: true,
  claim: true,
}

/** One of another kind is a newer version's: whoever passed it over would know something else than the others. */
export const isKnown = ({ kind }: Change): boolean => Object.hasOwn(KINDS, kind)

export interface ChangeRecord {
  /** Never given twice. */
  readonly id: string
  /** When it was asked for, milliseconds. */
  readonly at: number
  readonly change: Change
}

export const changeBytes = (record: ChangeRecord): Buffer => pack(record)

/** Undefined if it is none of ours. */
export function readChange(bytes: Buffer): ChangeRecord | undefined {
  let record: Partial<ChangeRecord> | null | undefined
  try {
    record = unpack(bytes) as Partial<ChangeRecord> | null
  } catch {
    return undefined
  }
  const { id, at, change } = record ?? {}
  if (typeof id !== 'string' || typeof at !== 'number' || typeof change?.kind !== 'string') return undefined
  return { id, at, change }
}
