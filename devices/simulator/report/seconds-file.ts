/**
 * Owns `seconds.csv`. Always true: a row is written when its second is over, so a run that is killed leaves the seconds before it.
 */

import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { parseSeconds, SECONDS_HEADER, type Second, secondLine } from './seconds.ts'

export class SecondsFile {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
    writeFileSync(path, SECONDS_HEADER)
  }

  add(row: Second): void {
    appendFileSync(this.#path, secondLine(row))
  }
}

/** Of a run without it, none: its report has no plots of them. */
export const readSeconds = (path: string): Second[] =>
  existsSync(path) ? parseSeconds(readFileSync(path, 'utf8')) : []
