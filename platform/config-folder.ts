/**
 * Owns a folder of YAML files that is read while the process runs, such as `config/maps`.
 *
 * Always true: what is in force was read from files that were good; a file with a fault stays what it was when it was good last, or is
 * not there, and keeps no other from being read. A folder that is not there has no files. Bound: `CONFIG_FILES_MAX` files.
 */

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError } from './config-file.ts'
import { messageOf } from './errors.ts'

/** A look takes 15 us a file, and there are two a second: 3 % of a core with so many, 0.1 % with 30. */
const CONFIG_FILES_MAX = 1_000
const YAML = /^[^.].*\.ya?ml$/

export interface ConfigText {
  readonly file: string
  readonly text: string
}

/** What came of a look. */
export interface ConfigLook {
  /** Others are in force now. */
  readonly changed: boolean
  /** The first fault. */
  readonly problem: ConfigError | undefined
}

export class ConfigFolder {
  readonly #directory: string
  readonly #use: (files: readonly ConfigText[]) => void
  #inForce: readonly ConfigText[] = []
  /** The files as they were read last, in one text, and what came of it. */
  #texts = '[]'
  #problem: ConfigError | undefined
  /** What the folder looked like at the two last looks. */
  #seen: readonly [before: string, last: string] = ['', '']

  /** `use` puts files in force, by name; it throws a `ConfigError`, and changes nothing, where it cannot. */
  constructor(directory: string, use: (files: readonly ConfigText[]) => void) {
    this.#directory = directory
    this.#use = use
  }

  /** What is in force. */
  get files(): readonly ConfigText[] {
    return this.#inForce
  }

  look(): ConfigLook {
    try {
      return this.#look()
    } catch (error) {
      if (error instanceof ConfigError) return { changed: false, problem: error }
      throw error
    }
  }

  #look(): ConfigLook {
    const files = this.#files()
    const seen = files.map(({ seen }) => seen).join('\n')
    const [before, last] = this.#seen
    // Once more after a change: two within one tick of the file system's clock look like one.
    if (seen === last && last === before) return { changed: false, problem: this.#problem }
    const read = files.map(({ file }) => ({ file, text: textOf(file) }))
    this.#seen = [last, seen]
    const texts = JSON.stringify(read)
    if (texts === this.#texts) return { changed: false, problem: this.#problem }
    this.#texts = texts
    return this.#take(read)
  }

  /** Puts the files in force, each with a fault as it was when it was good last. */
  #take(read: readonly ConfigText[]): ConfigLook {
    const good = new Map(this.#inForce.map((each) => [each.file, each]))
    const bad = new Set<string>()
    this.#problem = undefined
    for (;;) {
      const files = read.flatMap((each) => (bad.has(each.file) ? (good.get(each.file) ?? []) : each))
      try {
        this.#use(files)
        const changed = JSON.stringify(files) !== JSON.stringify(this.#inForce)
        this.#inForce = files
        return { changed, problem: this.#problem }
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error
        this.#problem ??= error
        // What was good alone may not go with what is new: then all stays as it was.
        if (bad.has(error.file) || !read.some(({ file }) => file === error.file)) {
          return { changed: false, problem: this.#problem }
        }
        bad.add(error.file)
      }
    }
  }

  #files(): { readonly file: string; readonly seen: string }[] {
    let names: string[]
    try {
      names = readdirSync(this.#directory)
        .filter((name) => YAML.test(name))
        .sort()
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw new ConfigError(this.#directory, undefined, `cannot be read: ${messageOf(error)}`)
    }
    if (names.length > CONFIG_FILES_MAX) {
      throw new ConfigError(this.#directory, undefined, `has more than ${CONFIG_FILES_MAX} files`)
    }
    return names.flatMap((name) => {
      const file = join(this.#directory, name)
      const stat = statSync(file, { bigint: true, throwIfNoEntry: false })
      return stat?.isFile() ? [{ file, seen: `${name} ${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}` }] : []
    })
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new ConfigError(file, undefined, `cannot be read: ${messageOf(error)}`)
  }
}
