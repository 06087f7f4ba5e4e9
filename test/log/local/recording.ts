/** Owns opening a local log for a test, with its log lines and its metrics kept to be looked at. */

import { Writable } from 'node:stream'
import type { TestContext } from 'node:test'
import { pino } from 'pino'
import { LocalLog, type LocalLogOptions } from '../../../log/local/local-log.ts'
import { systemClock } from '../../../platform/clock.ts'
import { createMetrics } from '../../../platform/metrics.ts'

export interface RecordedLog {
  readonly log: LocalLog
  /** Level (pino's number) and text of each line. */
  readonly lines: { level: number; msg: string }[]
  metric(name: string): Promise<number | undefined>
}

export async function openRecorded(
  t: Pick<TestContext, 'after'>,
  options: Partial<LocalLogOptions> & { directory: string },
): Promise<RecordedLog> {
  const lines: RecordedLog['lines'] = []
  const target = new Writable({
    write(chunk, _encoding, done) {
      lines.push(JSON.parse(String(chunk)))
      done()
    },
  })
  const metrics = createMetrics()
  const all = { writer: true, maxBytes: 2 ** 30, retentionMs: 86_400_000, ...options }
  const log = new LocalLog(all, { clock: systemClock, logger: pino({ level: 'warn' }, target), metrics })
  await log.start()
  t.after(() => log.stop())
  const metric = async (name: string) => {
    // All of them: one that is collected sets others.
    const found = (await metrics.getMetricsAsJSON()).find((each) => each.name === name)
    return found?.values[0]?.value
  }
  return { log, lines, metric }
}
