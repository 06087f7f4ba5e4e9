/** Owns the temporary directory of one test: made on demand, removed when the test ends. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

export function scratchDirectory(t: Pick<TestContext, 'after'>): string {
  const directory = mkdtempSync(join(tmpdir(), 'telltale-test-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}
