/**
 * Owns a folder of YAML files that is read while the process runs, such as `config/maps`.
 *
 * Always true: what is in force was read from files that were all good; a change with a fault in it changes nothing, and is told by
 * an error each time it is looked for. A folder that is not there has no files. Bound: `CONFIG_FILES_MAX` files.
 */

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError, type ConfigValue, readConfig } from './config-file.ts'
import { messageOf } from './errors.ts'

const CONFIG_FILES_MAX = 1_000
const YAML = /^[^.].*\.ya?ml$/

export class ConfigFolder<T> {
  readonly directory: string
  readonly #read: (items: readonly ConfigValue[]) => T
  #value: T
  #texts = ''
  /** What the folder looked like at the two last looks. */
  #seen: readonly [before: string, last: string] = ['', '']

  /** `read` makes of all items, files by name, what is in force; it throws a `ConfigError` for those that cannot be. */
  constructor(directory: string, read: (items: readonly ConfigValue[]) => T) {
    this.directory = directory
    this.#read = read
    this.#value = read([])
  }

  get value(): T {
    return this.#value
  }

  /** Looks at the files; true if what is in force is new. Throws a `ConfigError`, and what was in force stays. */
  look(): boolean {
    const files = this.#files()
    const seen = files.map(({ seen }) => seen).join('\n')
    const [before, last] = this.#seen
    // Once more after a change: two within one tick of the file system's clock look like one.
    if (seen === last && last === before) return false
    const read = files.map(({ file }) => ({ file, text: textOf(file) }))
    const texts = JSON.stringify(read)
    if (texts !== this.#texts) {
      this.#value = this.#read(read.flatMap(({ file, text }) => readConfig(file, text)))
      this.#texts = texts
      this.#seen = [last, seen]
      return true
    }
    this.#seen = [last, seen]
    return false
  }

  #files(): { readonly file: string; readonly seen: string }[] {
    let names: string[]
    try {
      names = readdirSync(this.directory)
        .filter((name) => YAML.test(name))
        .sort()
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw new ConfigError(this.directory, `cannot be read: ${messageOf(error)}`)
    }
    if (names.length > CONFIG_FILES_MAX)
      throw new ConfigError(this.directory, `has more than ${CONFIG_FILES_MAX} files`)
    return names.flatMap((name) => {
      const file = join(this.directory, name)
      const stat = statSync(file, { bigint: true, throwIfNoEntry: false })
      return stat?.isFile() ? [{ file, seen: `${name} ${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}` }] : []
    })
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new ConfigError(file, `cannot be read: ${messageOf(error)}`)
  }
}
