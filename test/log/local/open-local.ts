/** Owns opening a local log for a test, which stops it when it ends. */

import type { TestContext } from 'node:test'
import { LocalLog, type LocalLogOptions } from '../../../log/local/local-log.ts'
import { systemClock } from '../../../platform/clock.ts'
import { silentLogger } from '../../../platform/logger.ts'
import { createMetrics } from '../../../platform/metrics.ts'
import type { OpenLog } from '../contract.ts'

/** The tests' entries are of 1970: by default all of them stay. */
const FOR_EVER_MS = 200 * 365 * 86_400_000

type Options = Partial<LocalLogOptions> & { readonly directory: string }

export async function openLocal(t: TestContext, options: Options, clock = systemClock): Promise<LocalLog> {
  const all = { writer: true, maxBytes: 2 ** 30, retentionMs: FOR_EVER_MS, ...options }
  const log = new LocalLog(all, { clock, logger: silentLogger(), metrics: createMetrics() })
  await log.start()
  t.after(() => log.stop())
  return log
}

/** For the suites that every log must pass. */
export async function openAgain(t: TestContext, directory: string): Promise<OpenLog & { readonly log: LocalLog }> {
  const log = await openLocal(t, { directory })
  return {
    log,
    reopen: async () => {
      await log.stop()
      return openLocal(t, { directory })
    },
  }
}
