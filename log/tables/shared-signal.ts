/**
 * Owns a wake-up that followers in any process of the host wait for: a file is written to, and watched.
 *
 *   new --listen()--> listening --the file is gone--> deaf
 *    '---it cannot be watched-------------------------^
 *
 * Always true: the signal says only that a look is worth it. Who waits looks without it too, after 20 ms first, then later and
 * later while nothing comes: so what a signal that got lost would have told comes after `LISTENING_POLL_MS_MAX`, and a quiet log costs hardly anything.
 * Bound: where files cannot be watched (inotify(7) has a limit for each user), `DEAF_POLL_MS_MAX` pass between two looks.
 */

import { closeSync, type FSWatcher, openSync, watch, writeSync } from 'node:fs'
import { Signal } from './signal.ts'

const POLL_MS_MIN = 20
const DEAF_POLL_MS_MAX = 100
/** A command that asked for a replay waits for twice as long before it takes the writer's place. */
const LISTENING_POLL_MS_MAX = 500

const BYTE = Buffer.from('\n')

export class SharedSignal {
  readonly #path: string
  readonly #signal = new Signal()
  #file: number | undefined
  #watcher: FSWatcher | undefined
  #isDeaf = false
  #isClosed = false

  constructor(path: string) {
    this.#path = path
  }

  get raised(): number {
    return this.#signal.raised
  }

  /** Wakes those of this process. */
  raise(): void {
    this.#signal.raise()
  }

  /** Wakes those of all processes. */
  tell(): void {
    this.#signal.raise()
    if (this.#isClosed) return
    try {
      this.#file ??= openSync(this.#path, 'w', 0o600)
      writeSync(this.#file, BYTE, 0, 1, 0)
    } catch {
      // On a full disk, for example. They look by themselves.
    }
  }

  /** Resolves at the first raise in this process after `seen`. */
  wait(seen: number): Promise<void> {
    return this.#signal.wait(seen)
  }

  /**
   * Resolves at the first raise after `seen`, or when it is time to look; then all who wait look, so that the process wakes once for
   * them. `quiet`: so many looks have found nothing.
   */
  async waitOrLook(seen: number, quiet: number): Promise<void> {
    const max = this.listen() ? LISTENING_POLL_MS_MAX : DEAF_POLL_MS_MAX
    const timer = setTimeout(() => this.#signal.raise(), Math.min(POLL_MS_MIN * 2 ** quiet, max))
    await this.#signal.wait(seen)
    clearTimeout(timer)
  }

  /** Hears other processes from now on; false if it cannot. */
  listen(): boolean {
    if (this.#watcher !== undefined || this.#isDeaf || this.#isClosed) return !this.#isDeaf
    try {
      closeSync(openSync(this.#path, 'w', 0o600))
      this.#watcher = watch(this.#path, { persistent: false }, (event) => {
        // It is not made again: whoever removed it may be removing all that is beside it.
        if (event === 'rename') this.#deafen()
        this.#signal.raise()
      })
      this.#watcher.on('error', () => this.#deafen())
    } catch {
      this.#isDeaf = true
    }
    return !this.#isDeaf
  }

  /** Wakes all of this process a last time. */
  close(): void {
    this.#isClosed = true
    this.#watcher?.close()
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
    this.#signal.raise()
  }

  #deafen(): void {
    this.#isDeaf = true
    this.#watcher?.close()
    this.#watcher = undefined
  }
}
