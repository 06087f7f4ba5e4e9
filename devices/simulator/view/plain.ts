/**
 * Owns the progress of a run as it is shown: each second one line, redrawn in place on a terminal, appended in a pipe; there a
 * line that says nothing new comes every fifth time only.
 * Holds nothing back and loses nothing: the summary does not depend on it.
 */

import { printable } from '../../../platform/printable.ts'
import { count } from '../report/numbers.ts'
import { devicesOf } from '../scenario/scenario.ts'
import type { Snapshot } from '../simulator.ts'
import type { View } from './view.ts'

/** The part of a stream that is written to. */
export interface Output {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

/** A pipe has lines of any length. */
export const columnsOf = ({ isTTY, columns = COLUMNS_DEFAULT }: Output): number =>
  isTTY ? columns : Number.POSITIVE_INFINITY

const INTERVAL_MS = 1000
const SAME_LINES_SKIPPED = 4
const CLEAR_LINE = '\r\u001b[2K'
const COLUMNS_DEFAULT = 80

/** What a line has of a run. */
export type LineSnapshot = Pick<Snapshot, 'phase' | 'scenario' | 'totals' | 'elapsedMs' | 'problem'>

export class PlainView implements View {
  readonly #output: Output
  readonly #read: () => LineSnapshot
  #timer: NodeJS.Timeout | undefined
  #before = { sent: 0, elapsedMs: 0 }
  #line = ''
  #skipped = 0

  constructor(output: Output, read: () => LineSnapshot) {
    this.#output = output
    this.#read = read
  }

  start(): void {
    this.#timer = setInterval(() => this.#draw(), INTERVAL_MS)
    this.#timer.unref()
  }

  /** Leaves an empty line's start for what follows. Idempotent. */
  stop(): void {
    if (this.#timer === undefined) return
    clearInterval(this.#timer)
    this.#timer = undefined
    if (this.#output.isTTY) this.#output.write(CLEAR_LINE)
  }

  #draw(): void {
    const now = this.#read()
    const line = printable(lineOf(now, this.#before))
    this.#before = { sent: now.totals.counts.sent, elapsedMs: now.elapsedMs }
    const { isTTY, columns = COLUMNS_DEFAULT } = this.#output
    if (isTTY) this.#output.write(CLEAR_LINE + line.slice(0, columns - 1))
    else if (line === this.#line && this.#skipped < SAME_LINES_SKIPPED) this.#skipped++
    else {
      this.#output.write(`${line}\n`)
      this.#line = line
      this.#skipped = 0
    }
  }
}

/** While devices send it is said how far they are, too. */
function lineOf(now: LineSnapshot, before: Parameters<typeof progressLine>[1]): string {
  const { phase, problem } = now
  if (problem === undefined) return progressLine(now, before)
  return phase === 'publishing' || phase === 'draining' ? `${progressLine(now, before)}  ${problem}` : problem
}

/** One line of what is, with the rate since `before`. */
function progressLine(now: LineSnapshot, before: { readonly sent: number; readonly elapsedMs: number }): string {
  const { totals, phase, scenario, elapsedMs } = now
  const { counts, errorCount } = totals
  const { sent, acknowledged, connected, reconnects } = counts
  const sinceMs = elapsedMs - before.elapsedMs
  const rate = sinceMs > 0 ? ((sent - before.sent) * 1000) / sinceMs : 0
  return [
    `${(elapsedMs / 1000).toFixed(0)}s`,
    phase,
    `${count(connected)}/${count(devicesOf(scenario))} online`,
    `sent ${count(sent)}`,
    `acknowledged ${count(acknowledged)}`,
    `${count(rate)}/s`,
    `reconnects ${count(reconnects)}`,
    `errors ${count(errorCount)}`,
  ].join('  ')
}
