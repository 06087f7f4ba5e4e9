/**
 * Owns the verdicts on messages that ours and another library read. Always true of what is counted: both read the same values,
 * or both refuse, or ours alone refuses, for one of the reasons why it is stricter; anything else fails, with the seed, the message and its schema.
 */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Reading, Rejection } from '../../schemas/reading.ts'
import { Registry } from '../../schemas/registry.ts'
import { writeSchemas } from '../schemas/schema-folder.ts'
import { isUnfit, meantTime, meantValues, type Said } from './said.ts'

export interface Report {
  readonly messages: number
  readonly schemas: number
  /** Both read the same. */
  readonly same: number
  readonly bothRefused: number
  /** Ours only, by why. */
  readonly stricter: Readonly<Record<string, number>>
}

export class Comparison {
  schemas = 0
  messages = 0
  same = 0
  bothRefused = 0
  readonly stricter: Record<string, number> = {}
  readonly #unfit: readonly string[]

  /** `unfit` is why ours alone refuses a value that the other must have called unfit then. */
  constructor(unfit: readonly string[]) {
    this.#unfit = unfit
  }

  report(): Report {
    return { ...this }
  }

  /** `said` is null if the other refuses; `words` say what was compared. */
  judge(
    outcome: readonly Reading[] | Rejection,
    said: readonly Said[] | null,
    stricter: readonly string[],
    words: string,
  ): void {
    this.messages++
    if (outcome instanceof Rejection) this.#refused(outcome.reason, said, stricter, words)
    else {
      assert(said !== null, `taken by ours alone: ${JSON.stringify(outcome)}: ${words}`)
      assert.equal(outcome.length, said.length, words)
      for (const [index, { ts, values }] of outcome.entries()) {
        const each: Said = said[index] ?? assert.fail()
        assert.equal(ts, meantTime(each), words)
        assert.deepEqual({ ...values }, meantValues(each), words)
      }
      this.same++
    }
  }

  #refused(reason: string, said: readonly Said[] | null, stricter: readonly string[], words: string): void {
    if (said === null) {
      this.bothRefused++
      return
    }
    const told = `refused: ${reason}; ${JSON.stringify(said)}: ${words}`
    const unfit = this.#unfit.find((each) => reason.includes(each))
    if (unfit !== undefined)
      assert(
        said.some((each) => Object.values(each).some(isUnfit)),
        told,
      )
    const why = unfit ?? stricter.find((each) => reason.includes(each)) ?? assert.fail(told)
    this.stricter[why] = (this.stricter[why] ?? 0) + 1
  }
}

/** Of files by their path, as `probe/1.avsc`. */
export function registryOf(files: Readonly<Record<string, object | string>>): Registry {
  const directory = mkdtempSync(join(tmpdir(), 'telltale-fuzz-'))
  try {
    writeSchemas(directory, files)
    return Registry.load(directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
}
