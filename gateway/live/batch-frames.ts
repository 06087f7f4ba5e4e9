/**
 * Owns the frames made of one batch of the log: for each group, its readings in log order, split at
 * `LIVE_FRAME_CHARS_MAX`. A reading is encoded once for all groups that want the same columns.
 *
 * Always true: the cursor of a frame lies after its last reading and before the group's next, even inside a message of
 * many readings; the last frame of a group before `flush` has the cursor given to `flush`.
 */

import type { Offset } from '../../log/position.ts'
import { LIVE_FRAME_CHARS_MAX } from '../../platform/limits.ts'
import type { Reading } from '../../schemas/reading.ts'
import { encodeReading, readingsFrame, selectFields } from './frames.ts'
import type { Group } from './groups.ts'

/** What a group has so far that was not published yet. */
interface Open {
  readings: string[]
  chars: number
}

export interface BatchFramesDependencies {
  /** The cursor after so many readings of the entry at `offset`. */
  readonly cursorAt: (offset: Offset, readings: number) => string
  readonly publish: (group: Group, frame: string, readings: number) => void
  readonly tagsOf: (stream: string) => ReadonlySet<string>
}

export class BatchFrames {
  readonly #dependencies: BatchFramesDependencies
  readonly #open = new Map<Group, Open>()

  constructor(dependencies: BatchFramesDependencies) {
    this.#dependencies = dependencies
  }

  /** Takes in the readings of the entry at `offset`, for `groups`. Entries come in the order of the batch. */
  add(offset: Offset, readings: readonly Reading[], groups: readonly Group[]): void {
    if (groups.length === 0) return
    for (const [index, reading] of readings.entries()) {
      let whole: string | undefined
      let selected: Map<string, string | undefined> | undefined
      for (const group of groups) {
        let text: string | undefined
        if (group.fields === undefined) {
          whole ??= encodeReading(reading)
          text = whole
        } else {
          selected ??= new Map()
          if (!selected.has(group.fieldsKey)) selected.set(group.fieldsKey, this.#select(reading, group.fields))
          text = selected.get(group.fieldsKey)
        }
        if (text !== undefined) this.#push(group, text, offset, index)
      }
    }
  }

  /** Publishes what is left; `cursor` lies after everything that was added. */
  flush(cursor: string): void {
    for (const [group, open] of this.#open) this.#publish(group, open, cursor)
    this.#open.clear()
  }

  #push(group: Group, text: string, offset: Offset, index: number): void {
    let open = this.#open.get(group)
    if (open === undefined) {
      open = { readings: [], chars: 0 }
      this.#open.set(group, open)
    }
    if (open.readings.length > 0 && open.chars + text.length > LIVE_FRAME_CHARS_MAX) {
      this.#publish(group, open, this.#dependencies.cursorAt(offset, index))
      open.readings = []
      open.chars = 0
    }
    open.readings.push(text)
    open.chars += text.length
  }

  #publish(group: Group, open: Open, cursor: string): void {
    this.#dependencies.publish(group, readingsFrame(group.name, cursor, open.readings), open.readings.length)
  }

  #select(reading: Reading, fields: ReadonlySet<string>): string | undefined {
    const selected = selectFields(reading, fields, this.#dependencies.tagsOf(reading.stream))
    return selected && encodeReading(selected)
  }
}
