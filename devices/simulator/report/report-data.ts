/** Owns what a report is drawn from, as it stands in the page: written by `../report-page.ts`, read by `page/main.ts`. */

import type { RunRecord } from '../kept/run-folder.ts'
import type { Curves } from './histogram-file.ts'
import type { Second } from './seconds.ts'
import type { Summary } from './summary.ts'

export interface ReportData {
  readonly summary: Summary
  readonly run: RunRecord
  /** Of each column its values, by second; null where nothing was measured. */
  readonly seconds: Columns
  readonly curves: Curves
}

export type Columns = Readonly<Record<keyof Second, readonly (number | null)[]>>
