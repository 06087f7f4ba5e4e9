/**
 * Owns what systemd is told of a process that it has started with `Type=notify` (sd_notify(3)): that it is ready, that it
 * stops, and, with `WatchdogSec=`, that its event loop still turns.
 *
 * Node has no datagram sockets of the kind that systemd listens on, so `systemd-notify` speaks for us, which is there wherever
 * systemd is. The unit needs `NotifyAccess=all`, for it is a process of its own. Without systemd nothing is done.
 */

import { execFile } from 'node:child_process'
import type { Logger } from './logger.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export class Systemd {
  readonly #isListening: boolean
  readonly #watchdogMs: number
  readonly #logger: Logger

  constructor({ NOTIFY_SOCKET: socket = '', WATCHDOG_USEC: watchdogUs = '' }: Environment, logger: Logger) {
    this.#isListening = socket !== ''
    this.#watchdogMs = Number(watchdogUs) / 1_000
    this.#logger = logger
  }

  ready(): void {
    this.#tell('READY=1')
    // Twice as often as it has to be, as sd_watchdog_enabled(3) recommends.
    if (this.#watchdogMs > 0) {
      setInterval(() => this.#tell('WATCHDOG=1'), this.#watchdogMs / 2).unref()
    }
  }

  /** The watchdog is kept: a stop that hangs is ended, too. */
  stopping(): void {
    this.#tell('STOPPING=1')
  }

  #tell(state: string): void {
    if (!this.#isListening) return
    execFile('systemd-notify', [state], (error) => {
      if (error) this.#logger.error({ err: error, state }, 'systemd could not be told: is systemd-notify there?')
    })
  }
}
