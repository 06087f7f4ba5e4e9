/**
 * Owns a folder of YAML files in a process, such as `config/maps`: what changes is put in force.
 *
 * Always true: a file that cannot be used stays as it was, also where it cannot be used at a start, and is told once while that lasts.
 * Only a start with a file that never was in force is refused: nobody knows what it was to be.
 */

import type { Clock } from './clock.ts'
import type { ConfigError } from './config-file.ts'
import { ConfigFolder, type ConfigLook, type ConfigText } from './config-folder.ts'
import { KeptConfig } from './kept-config.ts'
import type { Part } from './lifecycle.ts'
import type { Logger } from './logger.ts'

/** How often the files are looked at; two seconds are promised. */
const LOOK_MS = 500

export interface ConfigWatchOptions {
  /** What the files are. */
  readonly name: string
  readonly directory: string
  /** Where the copy of what is in force is kept (kept-config.ts). */
  readonly kept: string
}

export interface ConfigWatchDependencies {
  /** Puts files in force; throws a `ConfigError`, and changes nothing, where it cannot. */
  readonly use: (files: readonly ConfigText[]) => void
  /** Reads files that will be put in force next, while others have their turn. Never rejects: what is wrong with them `use` says. */
  readonly prepare?: (files: readonly ConfigText[]) => Promise<void>
  /** Files have come into force, and the watch is running. */
  readonly inForce?: () => void
  readonly clock: Clock
  readonly logger: Logger
}

export class ConfigWatch implements Part {
  readonly name: string
  readonly #folder: ConfigFolder
  readonly #inForce: (() => void) | undefined
  readonly #prepare: ConfigWatchDependencies['prepare']
  /** Files that have changed are read, and not yet in force. */
  #preparing: Promise<void> | undefined
  #isStopped = false
  readonly #clock: Clock
  readonly #logger: Logger
  /** When the files were looked at last, milliseconds. */
  #lookedAt = 0
  #looking: NodeJS.Timeout | undefined
  readonly #kept: KeptConfig
  #isStarted = false
  #told: ReadonlySet<string> = new Set()

  constructor({ name, directory, kept }: ConfigWatchOptions, dependencies: ConfigWatchDependencies) {
    const { use, prepare, inForce, clock, logger } = dependencies
    this.name = name
    this.#prepare = prepare
    this.#kept = new KeptConfig(kept)
    this.#folder = new ConfigFolder(
      directory,
      use,
      this.#kept.read((problem) => logger.warn(problem)),
    )
    this.#inForce = inForce
    this.#clock = clock
    this.#logger = logger
  }

  /**
   * Reads the files, and looks at them from now on, which keeps no process alive. Rejects with a `ConfigError` that names all faults if
   * there is a file that cannot be used and was never in force.
   */
  async start(): Promise<void> {
    const { problems, lost } = this.#look()
    const [first] = problems.filter(({ file }) => lost.includes(file))
    if (first !== undefined) throw first.with(problems.filter((each) => each !== first))
    this.#isStarted = true
    this.#keep()
    this.#tell(problems, lost)
    this.#looking = setInterval(() => this.look(), LOOK_MS).unref()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    clearInterval(this.#looking)
    await this.#preparing
  }

  /** What is in force. */
  get files(): readonly ConfigText[] {
    return this.#folder.files
  }

  /** As a timer does it: what has changed is in force when it is read. */
  look(): void {
    if (this.#preparing !== undefined) return
    const prepare = this.#prepare
    const changed = prepare && this.#folder.changed()
    if (prepare === undefined || changed === undefined) this.#lookNow()
    else this.#preparing = this.#lookAt(changed, prepare)
  }

  async #lookAt(
    changed: readonly ConfigText[],
    prepare: NonNullable<ConfigWatchDependencies['prepare']>,
  ): Promise<void> {
    await prepare(changed)
    this.#preparing = undefined
    if (!this.#isStopped) this.#lookNow()
  }

  #lookNow(): void {
    const { changed, problems, lost } = this.#look()
    if (changed) this.#logger.info({ files: this.files.length }, `other ${this.name} are in force`)
    if (changed && this.#isStarted) this.#keep()
    if (!changed && problems.length === 0 && this.#told.size > 0) {
      this.#logger.info(`all ${this.name} files can be used again, and say what is in force`)
    }
    this.#tell(problems, lost)
  }

  #tell(problems: readonly ConfigError[], lost: readonly string[]): void {
    for (const { file, message } of problems) {
      if (this.#told.has(message)) continue
      const instead = lost.includes(file)
        ? 'nothing of that file is in force'
        : 'what that file was before stays in force'
      this.#logger.error(`${message}; ${instead}`)
    }
    this.#told = new Set(problems.map(({ message }) => message))
  }

  #keep(): void {
    this.#inForce?.()
    if (this.#kept.write(this.files)) return
    this.#logger.warn(
      `the copy of the ${this.name} in force could not be written: a start with a broken file would be refused`,
    )
  }

  /**
   * Looks at the files, if that was not done since `receivedAt`: another process may have taken a message by newer files than were seen
   * here.
   */
  lookAfter(receivedAt: number): void {
    if (receivedAt >= this.#lookedAt) this.#lookNow()
  }

  #look(): ConfigLook {
    this.#lookedAt = this.#clock.now()
    return this.#folder.look()
  }
}
