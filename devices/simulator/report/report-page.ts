/**
 * Owns `report.html`: the page that build.js made of `page/`, with the data of one run in it.
 *
 * Always true: it is one file that asks nobody for anything, which its own policy forbids (CSP Level 3); whatever a device, a reason or a
 * scenario is called, it stays text. Bound: about 100 bytes a second of the run, beside the 80 kB of the page.
 */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PACKAGE_DIR } from '../../../platform/package.ts'
import { printable } from '../../../platform/printable.ts'
import type { RunRecord } from '../kept/run-folder.ts'
import type { Curves } from './histogram-file.ts'
import type { Columns, ReportData } from './report-data.ts'
import { SECOND_KEYS, type Second } from './seconds.ts'
import type { Summary } from './summary.ts'

export interface ReportInput {
  readonly summary: Summary
  readonly run: RunRecord
  readonly seconds: readonly Second[]
  readonly curves: Curves
}

const DATA_PLACE = '<script id="run" type="application/json"></script>'

export function reportHtml({ summary, run, seconds, curves }: ReportInput): string {
  const data: ReportData = { summary, run, seconds: columnsOf(seconds), curves }
  const page = readFileSync(join(PACKAGE_DIR, 'dist/report/index.html'), 'utf8')
  return page
    .replace('<title>', () => `<meta http-equiv="Content-Security-Policy" content="${policyOf(page)}">\n<title>`)
    .replace(DATA_PLACE, () => DATA_PLACE.replace('><', () => `>${inScript(data)}<`))
}

/** No `<` ends or begins an element in it; JSON says it otherwise. */
const inScript = (data: ReportData): string => JSON.stringify(data, shown).replaceAll('<', '\\u003c')

/** What turns the direction of writing, or steers otherwise, is shown as an escape: in names as in values. */
function shown(_: string, value: unknown): unknown {
  if (typeof value === 'string') return printable(value)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [printable(name), each]))
}

const columnsOf = (seconds: readonly Second[]): Columns =>
  Object.fromEntries(SECOND_KEYS.map((key) => [key, seconds.map((row) => row[key] ?? null)])) as unknown as Columns

const policyOf = (page: string): string =>
  [
    "default-src 'none'",
    `script-src ${hashOf(page, 'script')}`,
    `style-src ${hashOf(page, 'style')}`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ')

function hashOf(page: string, element: 'script' | 'style'): string {
  const [, text = ''] = new RegExp(`<${element}>(.*?)</${element}>`, 's').exec(page) ?? []
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
}
