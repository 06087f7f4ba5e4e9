/**
 * Owns what a run folder has for people when the run is over. Always true: each file is whole, and the summary, which says that all is there,
 * is the last.
 */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Timing } from '../fleet/timing.ts'
import type { RunRecord } from '../run/run-folder.ts'
import { histogramFile, type Latency, readCurves } from './histogram-file.ts'
import { junitXml } from './junit.ts'
import { reportHtml } from './report-page.ts'
import type { Second } from './seconds.ts'
import type { Summary } from './summary.ts'

export interface RunFiles {
  readonly summary: Summary
  readonly run: RunRecord
  readonly seconds: readonly Second[]
  readonly timings: Readonly<Record<Latency, Timing>>
}

const MICROSECONDS_PER_MS = 1_000

export function writeRunFiles(folder: string, { summary, run, seconds, timings }: RunFiles): void {
  const { connect, puback, live, slip } = timings
  const histograms = {
    connect: connect.histogram,
    puback: puback.histogram,
    live: live.histogram,
    slip: slip.histogram,
  }
  const distribution = histogramFile(histograms, MICROSECONDS_PER_MS)
  writeFileSync(join(folder, 'latency.hgrm'), distribution)
  writeFileSync(join(folder, 'junit.xml'), junitXml(summary))
  const page = reportHtml({ summary, run, seconds, curves: readCurves(distribution) })
  writeFileSync(join(folder, 'report.html'), page)
  writeFileSync(join(folder, 'summary.json'), `${JSON.stringify(summary, null, 2)}\n`)
}
