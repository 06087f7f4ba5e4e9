/**
 * Owns the end of a test file's process that does not come by itself: its tests are over or have timed out, and a handle that was left
 * open keeps it. Then it says what keeps it, and fails. Imported by `test/run.js` before each file. A process that never comes back to
 * its event loop is not ended.
 *
 * Node 20 and 22 end a file by `--test-timeout`; 24 and 26 wait for it for ever, and the run with it. Not `--test-force-exit`: with it
 * what was left open passes, and results are lost (nodejs/node#64833).
 */

import { writeSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'

/** Of a whole file: twice what `test/run.js` gives one test. */
const FILE_MS_MAX = 600_000

const file = process.argv[1] ?? ''
// Nor the runner's own process, nor threads and processes that a test starts with these flags.
const isFile = isMainThread && process.env.NODE_TEST_CONTEXT !== undefined && file.endsWith('.test.ts')

if (isFile) {
  setTimeout(() => {
    const kept = process.getActiveResourcesInfo().join(', ')
    writeSync(2, `${file} has not ended after ${FILE_MS_MAX / 60_000} minutes; what keeps it: ${kept}\n`)
    process.exit(1)
  }, FILE_MS_MAX).unref()
}
