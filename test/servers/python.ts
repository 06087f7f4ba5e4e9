/** Owns which Python the tests run: one that has the libraries a test needs. `TELLTALE_TEST_PYTHON` names another to try first. */

import { execFileSync } from 'node:child_process'
import { findProgram, MissingServer } from './server.ts'

/** Throws `MissingServer` with `hint` if none has them. */
export function pythonWith(modules: string, hint: string): string {
  const named = process.env.TELLTALE_TEST_PYTHON
  const programs = [
    ...new Set([...(named ? [named] : []), findProgram('python3', 'apt install python3'), '/usr/bin/python3']),
  ]
  for (const program of programs) {
    try {
      execFileSync(program, ['-c', `import ${modules}`], { stdio: 'ignore' })
      return program
    } catch {
      // Perhaps the other one.
    }
  }
  throw new MissingServer(`needs Python's ${modules} (${hint})`)
}
