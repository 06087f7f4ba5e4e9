/**
 * Owns the trial of mutants: what became of each, and the file of results, which a run that was stopped goes on with. A line of it is one mutant,
 * written when its trial has ended; a last line without its end was cut off, and its mutant is tried again.
 *
 * A mutant is killed if its build does not build, start, or stay up, or if the verified run does not end well; else it survived.
 */

import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { sourceOf } from '../planted/changed-tree.ts'
import { type OnSlow, reasonOf, tryUnlessSlow } from '../planted/second-try.ts'
import type { Outcome } from '../planted/trial.ts'
import { startInfluxdb2 } from '../servers/influxdb2.ts'
import { MissingServer } from '../servers/server.ts'
import { nameOf } from './choice.ts'
import { isOfInflux } from './data-path.ts'
import { mutated, type Site } from './sites.ts'

export interface Result extends Omit<Site, 'at'> {
  readonly name: string
  /** How long the run sent. */
  readonly seconds: number
  readonly isKilled: boolean
  /** How its trial ended, or what was found and where. */
  readonly by: string
  /** Of the first finding, or what was said last. */
  readonly sentence: string
  /** What its first trial ended by, if it was only slow, and a second one counts. */
  readonly slow?: string
}

/** kill -9 of the platform, in the middle of the run. */
const KILLS = 1

export async function tryMutant(site: Site, seconds: number, onSlow?: OnSlow): Promise<Result> {
  const text = mutated(sourceOf(site.file), site)
  const trial = { changes: [{ file: site.file, text }], seconds, kills: KILLS, influx: isOfInflux(site.file) }
  const { outcome, slow } = await tryUnlessSlow(trial, onSlow)
  const { at: _, ...shown } = site
  const isKilled = outcome.end !== 'nothing-found'
  return {
    name: nameOf(site),
    ...shown,
    seconds,
    isKilled,
    ...reasonOf(outcome),
    ...(slow && { slow: reasonOf(slow).by }),
  }
}

/** The build as it is, tried as a mutant is: what kills it says nothing of mutants. */
export async function tryUnchanged(seconds: number, influx = false, onSlow?: OnSlow): Promise<Outcome> {
  return (await tryUnlessSlow({ changes: [], seconds, kills: KILLS, influx }, onSlow)).outcome
}

/** Whether there is an InfluxDB 2.7 to try with. */
export async function hasInfluxdb(): Promise<boolean> {
  try {
    await (await startInfluxdb2()).stop()
    return true
  } catch (error) {
    if (error instanceof MissingServer) return false
    throw error
  }
}

export class Results {
  readonly #file: string
  readonly #byName = new Map<string, Result>()

  constructor(file: string) {
    this.#file = file
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []
    for (const line of lines) {
      const result = readLine(line)
      if (result !== undefined) this.#byName.set(keyOf(result.name, result.seconds), result)
    }
    // Behind a line that was cut off the next one begins anew.
    if (lines.at(-1)) appendFileSync(file, '\n')
  }

  of(site: Site, seconds: number): Result | undefined {
    return this.#byName.get(keyOf(nameOf(site), seconds))
  }

  add(result: Result): void {
    this.#byName.set(keyOf(result.name, result.seconds), result)
    appendFileSync(this.#file, `${JSON.stringify(result)}\n`)
  }
}

function readLine(line: string): Result | undefined {
  try {
    return JSON.parse(line) as Result
  } catch {
    return undefined
  }
}

const keyOf = (name: string, seconds: number) => `${seconds} ${name}`
