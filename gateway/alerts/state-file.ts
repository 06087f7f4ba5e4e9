/**
 * Owns the file in which alerts outlive the process: one JSON, replaced whole.
 *
 * Always true: at any time the file is one state, as of one instant, whole and flushed. Who asks for a save is told when it is done or has failed;
 * what is asked for meanwhile goes with the next one. It is written beside the event loop: a disk that is slow holds nobody up.
 */

import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { messageOf } from '../../platform/errors.ts'
import type { Logger } from '../../platform/logger.ts'

export class StateFile {
  readonly #file: string
  readonly #snapshot: () => object
  readonly #logger: Logger
  #wanted = 0
  #done = 0
  #writing: Promise<void> | undefined
  #isFailing = false

  constructor(file: string, snapshot: () => object, logger: Logger) {
    this.#file = file
    this.#snapshot = snapshot
    this.#logger = logger
  }

  /** What was saved last; undefined if nothing was, or if it cannot be read, which is told. */
  async read(): Promise<unknown> {
    try {
      return JSON.parse(await readFile(this.#file, 'utf8'))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      this.#logger.error(
        { reason: messageOf(error) },
        `${this.#file} cannot be read: which alerts were firing is not known`,
      )
      await rename(this.#file, `${this.#file}.unreadable`).catch(() => undefined)
      return undefined
    }
  }

  /** Resolves when what is so now is on disk, or could not be written: then the next save tries again. */
  async save(): Promise<void> {
    const wanted = ++this.#wanted
    while (this.#done < wanted) {
      this.#writing ??= this.#write().finally(() => {
        this.#writing = undefined
      })
      await this.#writing
    }
  }

  async #write(): Promise<void> {
    const upTo = this.#wanted
    try {
      await this.#replace(JSON.stringify(this.#snapshot()))
      this.#isFailing = false
    } catch (error) {
      if (!this.#isFailing) {
        this.#logger.error(
          { reason: messageOf(error) },
          'the state of alerts cannot be written: after a kill some would be told again',
        )
      }
      this.#isFailing = true
    }
    this.#done = upTo
  }

  async #replace(text: string): Promise<void> {
    const directory = dirname(this.#file)
    const temporary = `${this.#file}.tmp`
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const file = await open(temporary, 'w', 0o600)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, this.#file)
    const names = await open(directory, 'r')
    try {
      await names.sync()
    } finally {
      await names.close()
    }
  }
}
