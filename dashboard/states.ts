/** Owns what the page calls the states of a device, how bad each is, and how it looks: by a word and a shape, not by a colour alone. */

import type { DeviceState } from './answers.ts'

interface Look {
  readonly label: string
  readonly tone: 'good' | 'bad' | 'warn' | 'idle'
  /** The worst first. */
  readonly rank: number
}

export const STATES: Readonly<Record<DeviceState, Look>> = {
  refused: { label: 'Refused', tone: 'bad', rank: 0 },
  contested: { label: 'Two devices', tone: 'bad', rank: 1 },
  'dead-lettering': { label: 'Dead-lettering', tone: 'bad', rank: 2 },
  dropped: { label: 'Dropped', tone: 'bad', rank: 3 },
  silent: { label: 'Silent', tone: 'bad', rank: 4 },
  late: { label: 'Late', tone: 'warn', rank: 5 },
  incomplete: { label: 'Incomplete', tone: 'warn', rank: 6 },
  clock: { label: 'Wrong clock', tone: 'warn', rank: 7 },
  repeating: { label: 'Repeating', tone: 'warn', rank: 8 },
  slowed: { label: 'Slowed', tone: 'warn', rank: 9 },
  offline: { label: 'Offline', tone: 'idle', rank: 10 },
  online: { label: 'Online', tone: 'good', rank: 11 },
}

/** A gateway that is newer than the page may know others. */
export const lookOf = (state: string): Look => STATES[state as DeviceState] ?? { label: state, tone: 'warn', rank: 5 }

/** Connected, sends, and all of it is stored; or declared well by nobody at all. */
export const isWell = (listing: { readonly cause: string }): boolean => listing.cause === 'well'
