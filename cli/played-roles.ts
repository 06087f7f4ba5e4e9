/**
 * Owns telling what runs: the roles of this process, when they begin and when they end, and that the process of another is gone without a word.
 * Bound: `LOOK_INTERVAL_MS` until that is told, by whichever process looks first.
 */

import type { Log } from '../log/log.ts'
import type { Role } from '../log/roles.ts'
import type { Part } from '../platform/lifecycle.ts'
import type { Logger } from '../platform/logger.ts'

/** A look takes a tenth of a millisecond. */
const LOOK_INTERVAL_MS = 2_000

export class PlayedRoles implements Part {
  readonly name = 'journal'
  readonly #roles: ReadonlySet<Role>
  readonly #log: Pick<Log, 'journal' | 'roles'>
  readonly #logger: Logger
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<void> | undefined

  constructor(roles: ReadonlySet<Role>, { log, logger }: { log: Pick<Log, 'journal' | 'roles'>; logger: Logger }) {
    this.#roles = roles
    this.#log = log
    this.#logger = logger
  }

  async start(): Promise<void> {
    await this.#look()
    for (const role of this.#roles) {
      await this.#log.roles.begin(role)
      this.#tell('began', role, `the ${role} was started`)
    }
    this.#timer = setInterval(() => {
      this.#looking = this.#look()
    }, LOOK_INTERVAL_MS).unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#looking
    for (const role of this.#roles) {
      await this.#log.roles.end(role)
      this.#tell('ended', role, `the ${role} was stopped`)
    }
  }

  async #look(): Promise<void> {
    try {
      for (const { role, process } of await this.#log.roles.noteGone()) {
        this.#logger.warn(`the ${role} is gone without a word: ${process} was killed, or crashed`)
        this.#tell('ended', role, `the ${role} was killed, or crashed: ${process} is gone`)
      }
    } catch (error) {
      this.#logger.warn({ err: error }, 'which processes are there could not be looked up')
    }
  }

  #tell(kind: 'began' | 'ended', role: Role, text: string): void {
    this.#log.journal.notePlatform({ kind, code: `${role}-up`, text })
  }
}
