/**
 * Owns a folder of YAML files that is read while the process runs, such as `config/maps`.
 *
 * Always true: what is in force was read from files that were good; a file with a fault stays what it was when it was good last, or is
 * not there, and keeps no other from being read; at a start its copy says what it was (kept-config.ts). A folder that is not there has no
 * files. Bound: `CONFIG_FILES_MAX` files.
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
  /** The first fault of each file that has one. */
  readonly problems: readonly ConfigError[]
  /** Files that are not in force as they were once: they have faults, and nothing is known of what they said before. */
  readonly lost: readonly string[]
}

export class ConfigFolder {
  readonly #directory: string
  readonly #use: (files: readonly ConfigText[]) => void
  #inForce: readonly ConfigText[] = []
  /** By file, what it said when it was good last. */
  #good: ReadonlyMap<string, string>
  /** The files as they were read last, in one text, and what came of it. */
  #texts = '[]'
  #outcome: Omit<ConfigLook, 'changed'> = { problems: [], lost: [] }
  /** What the folder looked like at the two last looks. */
  #seen: readonly [before: string, last: string] = ['', '']

  /**
   * `use` puts files in force, by name; it throws a `ConfigError`, and changes nothing, where it cannot. `kept`: what the files said
   * when they were in force last, by name.
   */
  constructor(
    directory: string,
    use: (files: readonly ConfigText[]) => void,
    kept: ReadonlyMap<string, string> = new Map(),
  ) {
    this.#directory = directory
    this.#use = use
    this.#good = new Map([...kept].map(([name, text]) => [join(directory, name), text]))
  }

  /** What is in force. */
  get files(): readonly ConfigText[] {
    return this.#inForce
  }

  /** What the files say, if any of them has changed since it was looked last; undefined if none has, or if that cannot be read. */
  changed(): readonly ConfigText[] | undefined {
    try {
      const files = this.#files()
      if (files.map(({ seen }) => seen).join('\n') === this.#seen[1]) return undefined
      return files.map(({ file }) => ({ file, text: textOf(file) }))
    } catch (error) {
      if (error instanceof ConfigError) return undefined
      throw error
    }
  }

  look(): ConfigLook {
    try {
      return this.#look()
    } catch (error) {
      if (error instanceof ConfigError) return { changed: false, problems: [error], lost: [error.file] }
      throw error
    }
  }

  #look(): ConfigLook {
    const files = this.#files()
    const seen = files.map(({ seen }) => seen).join('\n')
    const [before, last] = this.#seen
    // Once more after a change: two within one tick of the file system's clock look like one.
    if (seen === last && last === before) return { changed: false, ...this.#outcome }
    const read = files.map(({ file }) => ({ file, text: textOf(file) }))
    this.#seen = [last, seen]
    const texts = JSON.stringify(read)
    if (texts === this.#texts) return { changed: false, ...this.#outcome }
    this.#texts = texts
    return this.#take(read)
  }

  /** Puts the files in force, each with a fault as it was when it was good last. */
  #take(read: readonly ConfigText[]): ConfigLook {
    const problems = new Map<string, ConfigError>()
    let files = read
    for (;;) {
      try {
        this.#use(files)
        break
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error
        const isKnown = problems.has(error.file)
        if (!isKnown) problems.set(error.file, error)
        // What was good alone may not go with what is new: then all stays as it was.
        if (isKnown || !read.some(({ file }) => file === error.file)) return this.#stay(read, [...problems.values()])
      }
      files = read.flatMap((each) => (problems.has(each.file) ? this.#before(each.file) : each))
    }
    const lost = [...problems.keys()].filter((file) => !this.#good.has(file))
    this.#outcome = { problems: [...problems.values()].sort((a, b) => (a.file < b.file ? -1 : 1)), lost }
    return { changed: this.#enforce(files), ...this.#outcome }
  }

  /** All stays as it was; at a start, as the copy says. */
  #stay(read: readonly ConfigText[], problems: readonly ConfigError[]): ConfigLook {
    this.#outcome = { problems, lost: [] }
    if (this.#inForce.length > 0) return { changed: false, ...this.#outcome }
    const files = read.flatMap(({ file }) => this.#before(file))
    try {
      this.#use(files)
      this.#outcome = { problems, lost: problems.map(({ file }) => file).filter((file) => !this.#good.has(file)) }
      return { changed: this.#enforce(files), ...this.#outcome }
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      this.#outcome = { problems, lost: problems.map(({ file }) => file) }
      return { changed: false, ...this.#outcome }
    }
  }

  /** Whether others were in force. */
  #enforce(files: readonly ConfigText[]): boolean {
    const changed = JSON.stringify(files) !== JSON.stringify(this.#inForce)
    this.#inForce = files
    this.#good = new Map(files.map(({ file, text }) => [file, text]))
    return changed
  }

  #before(file: string): ConfigText[] {
    const text = this.#good.get(file)
    return text === undefined ? [] : [{ file, text }]
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
