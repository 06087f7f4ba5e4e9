/** Owns opening a log on streams for a test, which stops it when it ends. */

import type { TestContext } from 'node:test'
import type { Streams } from '../../../log/streams/streams.ts'
import { StreamsLog, type StreamsLogOptions } from '../../../log/streams/streams-log.ts'
import { systemClock } from '../../../platform/clock.ts'
import { silentLogger } from '../../../platform/logger.ts'
import { createMetrics, type Metrics } from '../../../platform/metrics.ts'
import { scratchDirectory } from '../../scratch.ts'
import type { OpenLog } from '../contract.ts'

/** The tests' entries are of 1970: by default all of them stay. */
const FOR_EVER_MS = 200 * 365 * 86_400_000

type Options = Partial<StreamsLogOptions> & { readonly directory: string; readonly metrics?: Metrics }

export async function openOn(
  t: TestContext,
  streams: Streams,
  { metrics = createMetrics(), ...options }: Options,
): Promise<StreamsLog> {
  const all = { writer: true, maxBytes: 2 ** 30, retentionMs: FOR_EVER_MS, ...options }
  const log = new StreamsLog(streams, all, { clock: systemClock, logger: silentLogger(), metrics })
  t.after(() => log.stop())
  try {
    await log.start()
  } catch (error) {
    await log.stop()
    throw error
  }
  return log
}

/** For the suites that every log must pass: on streams that `make` gives to each process anew. */
export async function openAgainOn(t: TestContext, make: () => Streams): Promise<OpenLog> {
  const directory = scratchDirectory(t)
  const log = await openOn(t, make(), { directory })
  const reopen = async () => {
    await log.stop()
    return openOn(t, make(), { directory })
  }
  return { log, setsAsideLater: true, reopen }
}
