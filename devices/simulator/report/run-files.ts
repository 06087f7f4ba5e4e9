/**
 * Owns what a run folder has for people when the run is over. Always true: each file is whole, and the summary, which says that all is there,
 * is the last.
 */

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '../../../platform/errors.ts'
import type { Timing } from '../fleet/timing.ts'
import type { RunRecord } from '../kept/run-folder.ts'
import { SimulatorError } from '../simulator-error.ts'
import { histogramFile, type Latency, readCurves } from './histogram-file.ts'
import { junitXml } from './junit.ts'
import { reportHtml } from './report-page.ts'
import { readSeconds } from './seconds-file.ts'
import type { Summary } from './summary.ts'

const MICROSECONDS_PER_MS = 1_000

/** How long things took, which the run alone knows. */
export function writeTimings(folder: string, timings: Readonly<Record<Latency, Timing>>): void {
  const { connect, puback, live, slip } = timings
  const histograms = {
    connect: connect.histogram,
    puback: puback.histogram,
    live: live.histogram,
    slip: slip.histogram,
  }
  writeFileSync(join(folder, 'latency.hgrm'), histogramFile(histograms, MICROSECONDS_PER_MS))
}

/** What is said of the run, at its end or when it is verified later; without `seconds.csv` or `latency.hgrm` its report has no such plots. */
export function writeReports(folder: string, run: RunRecord, summary: Summary): void {
  const seconds = readSeconds(join(folder, 'seconds.csv'))
  const histograms = join(folder, 'latency.hgrm')
  const curves = existsSync(histograms) ? readCurves(readFileSync(histograms, 'utf8')) : {}
  writeFileSync(join(folder, 'junit.xml'), junitXml(summary))
  writeFileSync(join(folder, 'report.html'), reportHtml({ summary, run, seconds, curves }))
  writeFileSync(join(folder, 'summary.json'), `${JSON.stringify(summary, null, 2)}\n`)
}

/** Undefined of a run that was killed before its end. Throws a `SimulatorError` `bad-run`. */
export function readSummary(folder: string): Summary | undefined {
  const file = join(folder, 'summary.json')
  if (!existsSync(file)) return undefined
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Summary
  } catch (cause) {
    throw new SimulatorError('bad-run', `${file} cannot be read: ${messageOf(cause)}`, { cause })
  }
}
