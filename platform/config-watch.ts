/**
 * Owns a folder of YAML files in a process, such as `config/maps`: what changes is put in force.
 *
 * Always true: a file that cannot be used stays as it was, and is told once while that lasts.
 */

import type { Clock } from './clock.ts'
import { ConfigFolder, type ConfigLook, type ConfigText } from './config-folder.ts'
import type { Part } from './lifecycle.ts'
import type { Logger } from './logger.ts'

/** How often the files are looked at; two seconds are promised. */
const LOOK_MS = 500

export interface ConfigWatchOptions {
  /** What the files are. */
  readonly name: string
  readonly directory: string
}

export interface ConfigWatchDependencies {
  /** Puts files in force; throws a `ConfigError`, and changes nothing, where it cannot. */
  readonly use: (files: readonly ConfigText[]) => void
  readonly clock: Clock
  readonly logger: Logger
}

export class ConfigWatch implements Part {
  readonly name: string
  readonly #folder: ConfigFolder
  readonly #clock: Clock
  readonly #logger: Logger
  /** When the files were looked at last, milliseconds. */
  #lookedAt = 0
  #looking: NodeJS.Timeout | undefined
  #told: string | undefined

  constructor({ name, directory }: ConfigWatchOptions, { use, clock, logger }: ConfigWatchDependencies) {
    this.name = name
    this.#folder = new ConfigFolder(directory, use)
    this.#clock = clock
    this.#logger = logger
  }

  /** Reads the files, and looks at them from now on, which keeps no process alive. Rejects with a `ConfigError` if one cannot be used. */
  async start(): Promise<void> {
    const { problem } = this.#look()
    if (problem !== undefined) throw problem
    this.#looking = setInterval(() => this.look(), LOOK_MS).unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#looking)
  }

  /** What is in force. */
  get files(): readonly ConfigText[] {
    return this.#folder.files
  }

  /** As a timer does it. */
  look(): void {
    const { changed, problem } = this.#look()
    if (changed) this.#logger.info({ files: this.files.length }, `other ${this.name} are in force`)
    if (problem !== undefined && problem.message !== this.#told) {
      this.#logger.error(`${problem.message}; what that file was before stays in force`)
    }
    this.#told = problem?.message
  }

  /**
   * Looks at the files, if that was not done since `receivedAt`: another process may have taken a message by newer files than were seen
   * here.
   */
  lookAfter(receivedAt: number): void {
    if (receivedAt >= this.#lookedAt) this.look()
  }

  #look(): ConfigLook {
    this.#lookedAt = this.#clock.now()
    return this.#folder.look()
  }
}
