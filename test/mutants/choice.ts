/**
 * Owns which mutants are tried: so many, as evenly over the files as they have sites, and the same ones for the same seed and sources.
 * They are drawn by a hash of seed and site, so a site that comes or goes changes little of the choice.
 */

import { createHash } from 'node:crypto'
import type { Site } from './sites.ts'

/** By which a result is found again: it changes when the line's text does. */
export function nameOf({ file, line, operator, at, before, after }: Site): string {
  return `${file}:${line} ${operator} ${hash([at, before, after]).slice(0, 8)}`
}

/** One of each file in turn, until there are `count`, or no more. */
export function choose(sites: ReadonlyMap<string, readonly Site[]>, count: number, seed: number): Site[] {
  const files = drawn([...sites.keys()], seed, (file) => file)
  const left = files.map((file) => drawn(sites.get(file) ?? [], seed, nameOf))
  const chosen: Site[] = []
  for (let turn = 0; left.some((of) => turn < of.length); turn++) {
    for (const { [turn]: site } of left) {
      if (chosen.length === count) return chosen
      if (site !== undefined) chosen.push(site)
    }
  }
  return chosen
}

function drawn<T>(all: readonly T[], seed: number, keyOf: (each: T) => string): T[] {
  const keys = new Map(all.map((each) => [each, hash([seed, keyOf(each)])]))
  return [...all].sort((a, b) => ((keys.get(a) ?? '') < (keys.get(b) ?? '') ? -1 : 1))
}

const hash = (parts: readonly unknown[]) => createHash('sha256').update(JSON.stringify(parts)).digest('hex')
