/**
 * Owns how much a run has written into each file from which it is verified, so that a file that was cut or lost later is not taken for what
 * happened. Always true: a run that was killed has noted nothing, and nothing is held against it. Bound: a number for each file.
 */

import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { SimulatorError } from '../simulator-error.ts'
import type { RunRecord } from './run-folder.ts'

const KEPT = { messages: /^messages-\d+\.tsv$/, live: /^live\.tsv$/, store: /^store\.tsv$/ } as const
export type KeptFile = keyof typeof KEPT

/** Bytes, by name. */
export function keptFiles(directory: string, kept: readonly KeptFile[]): Record<string, number> {
  const names = readdirSync(directory).filter((name) => kept.some((each) => KEPT[each].test(name)))
  return Object.fromEntries(names.sort().map((name) => [name, statSync(join(directory, name)).size]))
}

/** Throws a `SimulatorError` `bad-run` for a file that is not as the run has left it. */
export function checkKeptFiles(directory: string, { files }: Pick<RunRecord, 'files'>): void {
  for (const [name, bytes] of Object.entries(files ?? {})) {
    const path = join(directory, name)
    const size = statSync(path, { throwIfNoEntry: false })?.size
    if (size === bytes) continue
    const what = size === undefined ? 'is missing' : `has ${size} bytes`
    const message = `${path} ${what}, and the run has left ${bytes} bytes in it: it cannot be verified by what is left`
    throw new SimulatorError('bad-run', message)
  }
}
