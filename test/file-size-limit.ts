/** Owns the imitation of a full disk: a limit on the size of every file that this process writes. */

import { execFileSync } from 'node:child_process'
import type { TestContext } from 'node:test'
import { requireProgram } from './servers/server.ts'

export interface FileSizeLimit {
  set(bytes: number): void
  lift(): void
}

/** Lifted when the test ends; undefined if the machine has no prlimit. */
export function fileSizeLimit(t: TestContext): FileSizeLimit | undefined {
  const program = requireProgram(t, 'prlimit', 'apt install util-linux')
  if (program === undefined) return undefined
  const set = (bytes: number | 'unlimited') =>
    execFileSync(program, ['--pid', String(process.pid), `--fsize=${bytes}:unlimited`])
  const lift = () => set('unlimited')
  t.after(lift)
  return { set, lift }
}
