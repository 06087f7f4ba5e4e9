/** Owns the temporary directory of one test: made on demand, removed when the test ends. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

export function scratchDirectory(t: Pick<TestContext, 'after'>): string {
  const directory = mkdtempSync(join(tmpdir(), 'telltale-test-'))
  const remove = () => rmSync(directory, { recursive: true, force: true })
  t.after(() => {
    try {
      remove()
    } catch {
      // What the test started after this ends after this, and writes in it until then.
      process.once('exit', remove)
    }
  })
  return directory
}
