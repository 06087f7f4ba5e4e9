/**
 * Owns what a terminal shows of a run at one moment. Always true: it fits; of a terminal that is too low, what matters least is left out
 * first.
 */

import { printable } from '../../../platform/printable.ts'
import { count, counted, ms } from '../report/numbers.ts'
import { bar, cellsOf, cellsOfLine, drawn, type Line, type Piece, sparkline } from './cells.ts'
import { DEVICE_STATES, type DeviceState, type Moment, type RecentPercentiles } from './moment.ts'

export interface Chosen {
  /** From 1, as people count. */
  readonly number: number
  readonly id: string
  readonly state: DeviceState
  /** What was just done to it: `its link is cut`. */
  readonly done?: string
}

export interface FrameOptions {
  readonly columns: number
  readonly rows: number
  readonly isColoured: boolean
  /** Undefined where no keys can be pressed. */
  readonly chosen: Chosen | undefined
}

const NAME_CELLS = 11
/** A bar that would be shorter is left out. */
const BAR_CELLS_MIN = 8
const BAR_CELLS_MAX = 20
const SPARKLINE_CELLS_MAX = 40
const FAULTS_SHOWN_MAX = 5
const FAILURES_SHOWN_MAX = 4

/** The higher, the earlier it is left out. */
interface Row {
  readonly line: Line
  readonly rank: number
}

/** Lines, each without its end, at most `rows` of at most `columns` cells. */
export function frameOf(moment: Moment, { columns, rows, isColoured, chosen }: FrameOptions): string[] {
  const all = [
    ...headRows(moment),
    ...deviceRows(moment, columns),
    ...rateRows(moment, columns),
    ...timeRows(moment),
    ...faultRows(moment, columns),
    ...failureRows(moment),
    ...chosenRows(chosen),
  ]
  return fitting(all, rows).map(({ line }) => drawn(line, { columns, isColoured }))
}

function fitting(all: readonly Row[], rows: number): readonly Row[] {
  const kept = [...all]
  while (kept.length > rows) {
    const rank = Math.max(...kept.map((row) => row.rank))
    kept.splice(
      kept.findLastIndex((row) => row.rank === rank),
      1,
    )
  }
  return kept
}

const named = (name: string, rank: number, ...rest: Line): Row => ({
  line: [[name.padEnd(NAME_CELLS), 'soft'], ...rest],
  rank,
})
const EMPTY: Row = { line: [], rank: 90 }

function headRows({ scenario, url, phase, elapsedMs, leftMs, problem }: Moment): Row[] {
  const left = Number.isFinite(leftMs) ? `, ${clock(leftMs)} left` : ''
  const rows: Row[] = [
    {
      line: [[printable(scenario), 'bold'], `  ${phase} ${clock(elapsedMs)}${left}  `, [printable(url), 'soft']],
      rank: 0,
    },
  ]
  if (problem !== undefined) rows.push({ line: [[printable(problem), 'bad']], rank: 1 })
  return [...rows, EMPTY]
}

const STATE_COLOURS = { online: 'good', connecting: 'plain', away: 'warn', muted: 'warn' } as const

function deviceRows({ devices, states }: Moment, columns: number): Row[] {
  const found = DEVICE_STATES.filter((state) => states[state] > 0)
  const pieces = found.flatMap((state): Piece[] => [[`${count(states[state])} ${state}`, STATE_COLOURS[state]], '  '])
  const words: Line = [`${count(devices)}: `, ...pieces.slice(0, -1)]
  const room = columns - NAME_CELLS - cellsOfLine(words) - 2
  if (room < BAR_CELLS_MIN) return [named('devices', 2, ...words)]
  const share = bar(states.online / Math.max(1, devices), Math.min(BAR_CELLS_MAX, room))
  return [named('devices', 2, [share, 'good'], '  ', ...words)]
}

function rateRows(moment: Moment, columns: number): Row[] {
  const { rates, askedRate, sent, acknowledged, backlog, reconnects } = moment
  const now = `${count(rates.at(-1) ?? 0)}/s`.padEnd(9)
  const asked = askedRate > 0 ? `of ${count(askedRate)}/s asked  ` : ''
  const room = columns - NAME_CELLS - cellsOf(now) - cellsOf(asked)
  const line = sparkline(rates, Math.max(askedRate, ...rates), Math.min(room, SPARKLINE_CELLS_MAX))
  const totals: Piece[] = [`${count(sent)}, ${count(acknowledged)} acknowledged`]
  if (backlog > 0) totals.push([`, ${count(backlog)} waiting`, 'warn'])
  totals.push(`, ${counted(reconnects, 'reconnect')}`)
  return [named('rate', 3, [now, 'bold'], asked, [line, 'good']), named('sent', 4, ...totals)]
}

function timeRows({ latencyMs, liveMs, slipMs }: Moment): Row[] {
  const found: readonly (readonly [string, number, RecentPercentiles | undefined])[] = [
    ['PUBACK', 5, latencyMs],
    ['live', 8, liveMs],
    ['sent late', 10, slipMs],
  ]
  const rows = found.flatMap(([name, rank, times]) => (times ? [named(name, rank, percentilesText(times))] : []))
  return [...rows, EMPTY]
}

const percentilesText = (times: RecentPercentiles): string =>
  (['p50', 'p90', 'p99', 'max'] as const)
    .flatMap((key) => (times[key] === undefined ? [] : [`${key} ${ms(times[key])}`.padEnd(14)]))
    .join(' ')
    .trimEnd()

function faultRows({ faults }: Moment, columns: number): Row[] {
  if (faults.length === 0) return []
  const cells = Math.max(0, Math.min(BAR_CELLS_MAX, columns - 62))
  const rows = faults.slice(0, FAULTS_SHOWN_MAX).map(({ kind, befalls, forMs, leftMs }, index) => {
    const isEndless = !Number.isFinite(forMs)
    const past: Piece = [bar(isEndless ? 1 : 1 - leftMs / Math.max(1, forMs), cells), 'warn']
    const left = isEndless ? 'to the end' : `${clock(leftMs)} left`
    const words = `${kind.padEnd(20)} ${printable(befalls).padEnd(16)} `
    return named(index === 0 ? 'faults' : '', 20 + index, [words, 'warn'], past, cells > 0 ? '  ' : '', left)
  })
  const more = faults.length - rows.length
  return [...rows, ...(more > 0 ? [named('', 30, [`and ${count(more)} more`, 'soft'])] : []), EMPTY]
}

function failureRows({ failures }: Moment): Row[] {
  if (failures.length === 0) return []
  const rows = failures.slice(0, FAILURES_SHOWN_MAX).map(({ reason, count: times }, index) => {
    const number = count(times).padStart(7)
    return named(index === 0 ? 'failures' : '', index === 0 ? 7 : 10 + index, [number, 'bad'], `  ${printable(reason)}`)
  })
  const more = failures.length - rows.length
  const left: Row[] = more > 0 ? [named('', 31, [`and ${count(more)} more`, 'soft'])] : []
  return [...rows, ...left, EMPTY]
}

function chosenRows(chosen: Chosen | undefined): Row[] {
  if (chosen === undefined) return []
  const { number, id, state, done } = chosen
  return [
    named(
      'device',
      6,
      `${count(number)} `,
      [printable(id), 'bold'],
      ' ',
      [state, STATE_COLOURS[state]],
      done ? `, ${done}` : '',
    ),
    { line: [[KEYS, 'soft']], rank: 9 },
  ]
}

const KEYS = 'k cut its link  m mute it  s its clock +1 min  ↑ ↓ or a number: another  q end'

/** `1:05`. */
function clock(valueMs: number): string {
  const all = Math.max(0, Math.round(valueMs / 1000))
  const [hours, minutes, rest] = [Math.floor(all / 3600), Math.floor((all % 3600) / 60), all % 60]
  const ended = `${String(minutes).padStart(hours > 0 ? 2 : 1, '0')}:${String(rest).padStart(2, '0')}`
  return hours > 0 ? `${hours}:${ended}` : ended
}
