/**
 * Owns the copy of what a folder of YAML files said when it was in force last, in the data directory: with it a start goes on where a file
 * is broken.
 *
 * Always true: it is whole, or not there; a copy that cannot be read is none, which is told, and one that cannot be written is no reason to stop.
 */

import { readFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { ConfigText } from './config-folder.ts'
import { messageOf } from './errors.ts'
import { makeDirectory, replaceFile } from './files.ts'

export class KeptConfig {
  readonly #file: string

  constructor(file: string) {
    this.#file = file
  }

  /** What each file said, by its name: the folder may be another. `tell` is told why a copy that is there cannot be read. */
  read(tell: (problem: string) => void): ReadonlyMap<string, string> {
    try {
      const kept: unknown = JSON.parse(readFileSync(this.#file, 'utf8'))
      const entries = Object.entries(kept as object).filter(([, text]) => typeof text === 'string')
      return new Map(entries as [string, string][])
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        tell(
          `${this.#file}, the copy of what was in force last, cannot be read and is taken for none: ${messageOf(error)}`,
        )
      return new Map()
    }
  }

  /** False if it could not be written. */
  write(files: readonly ConfigText[]): boolean {
    try {
      makeDirectory(dirname(this.#file))
      replaceFile(this.#file, JSON.stringify(Object.fromEntries(files.map(({ file, text }) => [basename(file), text]))))
      return true
    } catch {
      return false
    }
  }
}
