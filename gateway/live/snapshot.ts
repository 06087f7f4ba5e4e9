/**
 * Owns the past of one subscription that starts with `latest`: the last reading of each selected series, in frames,
 * taken one by one as the socket has room.
 *
 *   round 1: all selected series -> round 2: those that changed meanwhile -> ... -> a round without any: `done`
 *
 * Always true: when `next` says `done`, every selected series was sent as it is at this instant. Bound: `LIVE_SNAPSHOT_ROUNDS_MAX` rounds; an app too slow for
 * that is `late`. Losing: between rounds, a reading replaced by a newer of its series is not sent.
 */

import { LIVE_FRAME_CHARS_MAX } from '../../platform/limits.ts'
import type { Latest, LatestSlot } from '../latest.ts'
import type { Encoded } from './encoding.ts'
import { selectFields } from './frames.ts'
import type { Group } from './groups.ts'
import type { Past, PastStep } from './past.ts'

/** Times a snapshot is brought up to date for an app that takes it too slowly; then the socket is closed with 4408. */
const LIVE_SNAPSHOT_ROUNDS_MAX = 20

export interface SnapshotDependencies {
  readonly latest: Pick<Latest, 'changed' | 'sequence'>
  /** The names of a stream's tag columns. */
  readonly tagsOf: (stream: string) => ReadonlySet<string>
  /** The text of a cursor within a snapshot, at this instant. */
  readonly cursor: () => string
  /** What is left when all was sent as it is at this instant, if anything. */
  readonly rest: (group: Group) => Past | undefined
}

export class Snapshot implements Past {
  readonly #group: Group
  readonly #dependencies: SnapshotDependencies
  #slots: LatestSlot[] = []
  #at = 0
  #sequence = -1
  #rounds = 0

  constructor(group: Group, dependencies: SnapshotDependencies) {
    this.#group = group
    this.#dependencies = dependencies
  }

  for(group: Group): Past {
    return new Snapshot(group, this.#dependencies)
  }

  next(): PastStep {
    const readings: Encoded[] = []
    let chars = 0
    while (chars < LIVE_FRAME_CHARS_MAX) {
      const slot = this.#slots[this.#at++]
      if (slot === undefined) {
        if (readings.length > 0) break
        if (this.#rounds++ >= LIVE_SNAPSHOT_ROUNDS_MAX) return 'late'
        if (this.#nextRound()) continue
        const rest = this.#dependencies.rest(this.#group)
        return rest === undefined ? 'done' : { rest }
      }
      const encoded = this.#encode(slot)
      if (encoded === undefined) continue
      readings.push(encoded)
      chars += encoded.length
    }
    return { frame: this.#group.encoding.frame(this.#group, this.#dependencies.cursor(), readings) }
  }

  drop(): void {}

  /** Whether any selected series changed since the last round. */
  #nextRound(): boolean {
    const { latest } = this.#dependencies
    this.#slots = latest.changed(this.#group.wanted.selections, this.#sequence)
    this.#sequence = latest.sequence
    this.#at = 0
    return this.#slots.length > 0
  }

  #encode({ reading, received }: LatestSlot): Encoded | undefined {
    const { fields, maxDelayMs, encoding } = this.#group
    if (maxDelayMs !== undefined && received !== undefined && received - reading.ts > maxDelayMs) return undefined
    const selected = fields ? selectFields(reading, fields, this.#dependencies.tagsOf(reading.stream)) : reading
    return selected && encoding.reading(selected, received)
  }
}
