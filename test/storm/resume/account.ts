/**
 * Owns one app's own log, held against the chronicle, frame by frame: between the cursor before a frame and the one after it, the
 * chronicle has exactly the frame's readings, in its order. So nothing is lost, nothing comes twice, and a `gap` names exactly
 * what is missing.
 *
 * Of a subscription with a rate it is their number, with what was merged; the frames of one window before its last are void if the
 * connection ends between them, as the contract says.
 * Bound: what the chronicle has not come to yet.
 */

import assert from 'node:assert/strict'
import type { Cursor } from '../../../gateway/live/cursor.ts'
import type { Chronicle } from './chronicle.ts'

export interface Had {
  readonly device: string
  readonly number: number
  readonly received: number | undefined
}

interface Context {
  /** How the app came by it. */
  readonly how: string
  readonly to: Cursor
}

/** What moved the app's cursor. */
export type Step = Context &
  (
    | { readonly kind: 'place' }
    | {
        readonly kind: 'readings'
        readonly readings: readonly Had[]
        readonly merged: number
        readonly isRated: boolean
      }
    | { readonly kind: 'gap'; readonly after: Cursor; readonly missed: number }
  )

export class Account {
  readonly #chronicle: Chronicle
  readonly #selects: (device: string) => boolean
  readonly #steps: (Step | 'interrupted')[] = []
  #taken = 0
  /** The next reading of the chronicle that it has not had; none before its first cursor. */
  #at: number | undefined
  #cursor: Cursor | undefined
  /** Of a window whose last frame has not come. */
  #ofWindow = 0
  readings = 0
  merged = 0
  gaps = 0
  /** Readings of its subscription that gaps named. */
  missed = 0
  /** What is wrong with it, once something is; then it is not looked at any more. */
  finding: string | undefined

  constructor(chronicle: Chronicle, selects: (device: string) => boolean) {
    this.#chronicle = chronicle
    this.#selects = selects
  }

  take(step: Step): void {
    this.#steps.push(step)
  }

  /** The connection ended, or the subscription became another. */
  interrupted(): void {
    this.#steps.push('interrupted')
  }

  /** Looks at all that the chronicle has come to. Returns whether that was everything. */
  settle(): boolean {
    for (; this.#taken < this.#steps.length; this.#taken++) {
      const { [this.#taken]: step } = this.#steps
      assert(step !== undefined)
      if (step !== 'interrupted' && !this.#isReached(step.to)) return false
      if (this.finding !== undefined) continue
      if (step === 'interrupted') this.#ofWindow = 0
      else this.#settleStep(step)
    }
    this.#steps.length = 0
    this.#taken = 0
    return true
  }

  /** How far it has come, as an offset of the log. */
  get place(): number {
    return this.#cursor?.position[0] ?? 0
  }

  #isReached({ position, part }: Cursor): boolean {
    return this.#chronicle.end >= (position[0] ?? 0) + (part.readings > 0 ? 1 : 0)
  }

  #settleStep(step: Step): void {
    const wrong = this.#wrongOf(step)
    if (wrong !== undefined) {
      this.finding = `${wrong}; the cursor was ${place(this.#cursor)}, then ${place(step.to)}; ${step.how}`
    }
    this.#cursor = step.to
  }

  /** What is wrong with a step; what is right is counted. */
  #wrongOf(step: Step): string | undefined {
    if (this.#at === undefined) {
      this.#at = this.#chronicle.at(step.to)
      return undefined
    }
    if (step.kind === 'gap') return this.#settleGap(step, this.#at)
    if (step.kind === 'place') return this.#settleEnd(step.to, this.#at)
    return step.isRated ? this.#settleCount(step, this.#at) : this.#settleReadings(step, this.#at)
  }

  /** The next of its readings from `at` on. */
  #wanted(at: number): number {
    const { devices } = this.#chronicle
    let next = at
    while (next < devices.length && !this.#selects(devices[next] ?? '')) next++
    return next
  }

  #settleReadings(step: Step & { kind: 'readings' }, from: number): string | undefined {
    const { numbers, devices, received } = this.#chronicle
    let at = from
    for (const had of step.readings) {
      at = this.#wanted(at)
      if (devices[at] !== had.device || numbers[at] !== had.number) {
        return `it had ${had.device} number ${had.number}, and next is ${this.#chronicle.describe(at)}`
      }
      if (had.received !== received[at]) {
        return `${this.#chronicle.describe(at)} was received at ${received[at]}, not ${had.received}`
      }
      if (!this.#chronicle.isBefore(at, step.to)) {
        return `it had ${this.#chronicle.describe(at)}, which does not lie before its cursor`
      }
      at++
    }
    this.readings += step.readings.length
    if (step.merged > 0) return `${step.merged} readings were merged, which it did not ask for`
    return this.#settleEnd(step.to, at)
  }

  #settleCount(step: Step & { kind: 'readings' }, from: number): string | undefined {
    let wanted = 0
    let at = this.#wanted(from)
    while (at < this.#chronicle.offsets.length && this.#chronicle.isBefore(at, step.to)) {
      wanted++
      at = this.#wanted(at + 1)
    }
    this.#at = at
    this.#ofWindow += step.readings.length + step.merged
    if (wanted === 0) return undefined
    if (this.#ofWindow !== wanted) return `readings and merged are ${this.#ofWindow}, and ${wanted} were published`
    this.readings += wanted - step.merged
    this.merged += step.merged
    this.#ofWindow = 0
    return undefined
  }

  /** It has had all that lies before the cursor. */
  #settleEnd(to: Cursor, from: number): string | undefined {
    const at = this.#wanted(from)
    this.#at = at
    if (this.#ofWindow > 0) return `${this.#ofWindow} readings of a window came without its end`
    if (at >= this.#chronicle.offsets.length || !this.#chronicle.isBefore(at, to)) return undefined
    return `it has not had ${this.#chronicle.describe(at)}, which lies before its cursor`
  }

  #settleGap(step: Step & { kind: 'gap' }, from: number): string | undefined {
    const wrong = this.#settleEnd(step.after, from)
    if (wrong !== undefined) return wrong
    const [after = 0] = step.after.position
    const [before = 0] = step.to.position
    if (step.missed !== before - after || step.missed <= 0) {
      return `the gap from ${after} to ${before} says that ${step.missed} messages are missing`
    }
    const end = this.#chronicle.at(step.to)
    let at = this.#wanted(from)
    for (; at < end; at = this.#wanted(at + 1)) this.missed++
    this.gaps++
    this.#at = at
    return undefined
  }
}

function place(cursor: Cursor | undefined): string {
  if (cursor === undefined) return 'none'
  const { position, part } = cursor
  return part.readings === 0 ? String(position) : `${position} and ${part.readings} readings`
}
