/**
 * Owns the place where a run is kept. Always true: it is a folder that was empty or not there, so that a run is never mixed with anything
 * else; of a run that has not begun nothing is left.
 */

import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { messageOf } from '../../../platform/errors.ts'
import { SimulatorError } from '../simulator-error.ts'

/** What is there before the first message. */
const OF_A_START = /^(messages-\d+|live|store)\.tsv$/

export class KeptFolder {
  readonly path: string
  /** The outermost first. */
  readonly #made: readonly string[]

  private constructor(path: string, made: readonly string[]) {
    this.path = path
    this.#made = made
  }

  /** Throws a `SimulatorError` `bad-option`. */
  static make(path: string): KeptFolder {
    if (path === '') throw new SimulatorError('bad-option', '--out names no folder: --no-out keeps nothing')
    const wrong = (why: string) => new SimulatorError('bad-option', `--out: ${why}; name a new folder, or an empty one`)
    try {
      if (!existsSync(path)) return new KeptFolder(path, makeAll(resolve(path)))
      if (!statSync(path).isDirectory()) throw wrong(`${path} is no folder`)
      const [first] = readdirSync(path)
      if (existsSync(join(path, 'run.json'))) throw wrong(`there is a run in ${path} already`)
      if (first !== undefined) throw wrong(`${path} has other files, such as ${first}`)
      return new KeptFolder(path, [])
    } catch (error) {
      if (error instanceof SimulatorError) throw error
      throw wrong(`${path} cannot be made (${messageOf(error)})`)
    }
  }

  /** If the run has not begun: what is in it, and what was made for it. Files in it are closed. */
  removeUnbegun(): void {
    if (existsSync(join(this.path, 'run.json'))) return
    for (const name of readdirSync(this.path)) if (OF_A_START.test(name)) rmSync(join(this.path, name))
    try {
      for (const made of this.#made.toReversed()) rmdirSync(made)
    } catch {
      // Another run may have a folder beside it.
    }
  }
}

/** Step by step: `recursive` never ends below `/proc` (Node 20 to 26). */
function makeAll(path: string): string[] {
  if (existsSync(path)) return []
  const made = makeAll(dirname(path))
  mkdirSync(path)
  return [...made, path]
}
