/**
 * Owns the life of the long-lived parts of a process.
 *
 *   idle --start()--> running --stop()--> stopping --> stopped
 *
 * Always true: parts start in the order given and stop in the reverse order; a part that fails to start is stopped, and
 * those before it; `stop()` may be called any number of times and resolves once. Bound: a drain lasts at most
 * `STOP_DEADLINE_MS`; what has not stopped by then is named in the error.
 */

import { isatty } from 'node:tty'
import { STOP_DEADLINE_MS } from './limits.ts'
import type { Logger } from './logger.ts'

/** A signal so soon after the first is not the second one, at which the process ends at once. */
export const SIGNAL_ECHO_MS = 100

/** One long-lived part: `stop()` is idempotent, takes no new work, drains, closes. */
export interface Part {
  readonly name: string
  start(): Promise<void>
  stop(): Promise<void>
}

export class Lifecycle {
  readonly #logger: Logger
  readonly #running: Part[] = []
  #stopped: Promise<void> | undefined

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** Starts `part` after all that were started before it. A part that fails has the earlier ones stopped. */
  async start(part: Part): Promise<void> {
    // Before it starts: a part that fails half-way has what it did start stopped as well.
    this.#running.push(part)
    try {
      await part.start()
    } catch (error) {
      await this.stop()
      throw error
    }
    this.#logger.debug({ part: part.name }, 'started')
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stopAll()
    return this.#stopped
  }

  async #stopAll(): Promise<void> {
    let current = ''
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_resolve, reject) => {
      const message = () => `${current} did not stop within ${STOP_DEADLINE_MS} ms`
      timer = setTimeout(() => reject(new Error(message())), STOP_DEADLINE_MS)
    })
    try {
      for (let part = this.#running.pop(); part; part = this.#running.pop()) {
        current = part.name
        await Promise.race([part.stop(), late])
        this.#logger.debug({ part: part.name }, 'stopped')
      }
    } finally {
      clearTimeout(timer)
    }
  }
}

/**
 * Resolves with the name of the first SIGTERM or SIGINT. A second one ends the process at once, as that signal does, for the
 * person who has waited long enough. One that follows within `SIGNAL_ECHO_MS` is the first once more: on Ctrl-C a terminal
 * tells `npm` and its child, and npm tells the child again.
 */
export function untilSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let firstAt: number | undefined
    const onSignal = (signal: NodeJS.Signals) => {
      const now = performance.now()
      firstAt ??= now
      if (now - firstAt >= SIGNAL_ECHO_MS) endAtOnce(signal)
      resolve(signal)
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })
}

/**
 * Calls `reload` at each SIGHUP, which ends a process by default. A terminal that is closed sends one too: there is nobody left to press
 * Ctrl-C, and it counts as SIGTERM.
 */
export function onHangUp(reload: () => void): void {
  const hadTerminal = isatty(0)
  process.on('SIGHUP', () => {
    if (hadTerminal && !isatty(0)) process.kill(process.pid, 'SIGTERM')
    else reload()
  })
}

/**
 * Ends the process by a signal. `process.exit` waits for the threads of native code: with a commit of lmdb under way it never
 * returned in 2 of 16 tries, and aborted in 9.
 */
export function endAtOnce(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal)
  process.kill(process.pid, signal)
}
