/** Runs a command in a process of its own, on a data directory of the test. */

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { plainEnvironment } from '../e2e/platform.ts'

const TELLTALE = fileURLToPath(new URL('../../cli/telltale.js', import.meta.url))

export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export function telltale(
  directory: string,
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<Ended> {
  const env = { ...plainEnvironment(), TELLTALE_DATA_DIR: directory, ...environment }
  return new Promise((resolve) => {
    execFile(process.execPath, [TELLTALE, ...args], { env, timeout: 300_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}
