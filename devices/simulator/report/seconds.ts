/**
 * Owns what happened in each second of a run, one row a second, and how it is written: as CSV (RFC 4180) whose first row names the columns.
 *
 * Always true: what was not measured in a second is empty; what is written can be read again. Bound: about 100 bytes a second.
 */

export interface Second {
  /** Since the first message was due, from 0. */
  readonly second: number
  /** Messages, in this second. */
  readonly due: number
  readonly sent: number
  readonly acknowledged: number
  /** Devices, at its end. */
  readonly connected: number
  /** In this second: connections that came back, connects that were refused, messages on the devices' errors topics. */
  readonly reconnects: number
  readonly refused: number
  readonly errors: number
  /** Milliseconds, of what came in this second: from a message's due time to its PUBACK, and to its coming at an app. */
  readonly pubackP50: number | undefined
  readonly pubackP99: number | undefined
  readonly liveP50: number | undefined
  readonly liveP99: number | undefined
  /** Milliseconds: how much later than due a message was sent, at most, by the simulator's own slowness. */
  readonly slipMax: number | undefined
  /** Messages that are due and not sent, at its end. */
  readonly backlog: number
}

/** In this order. */
const COLUMNS: readonly (readonly [column: string, key: keyof Second])[] = [
  ['second', 'second'],
  ['due', 'due'],
  ['sent', 'sent'],
  ['acknowledged', 'acknowledged'],
  ['connected', 'connected'],
  ['reconnects', 'reconnects'],
  ['refused', 'refused'],
  ['errors', 'errors'],
  ['puback_p50_ms', 'pubackP50'],
  ['puback_p99_ms', 'pubackP99'],
  ['live_p50_ms', 'liveP50'],
  ['live_p99_ms', 'liveP99'],
  ['slip_max_ms', 'slipMax'],
  ['backlog', 'backlog'],
]
export const SECOND_KEYS: readonly (keyof Second)[] = COLUMNS.map(([, key]) => key)
const LINE_END = '\r\n'
/** Of milliseconds. */
const DECIMALS = 3

export const SECONDS_HEADER = `${COLUMNS.map(([column]) => column).join(',')}${LINE_END}`

/** With its end. Numbers need no quotes. */
export function secondLine(row: Second): string {
  const fields = COLUMNS.map(([, key]) => {
    const value = row[key]
    return value === undefined || !Number.isFinite(value) ? '' : String(Number(value.toFixed(DECIMALS)))
  })
  return `${fields.join(',')}${LINE_END}`
}

/** Of text that these lines make; a last line without its end was cut off, and is not counted. None of text with another header. */
export function parseSeconds(text: string): Second[] {
  const [header = '', ...lines] = text.split(LINE_END)
  if (`${header}${LINE_END}` !== SECONDS_HEADER) return []
  return lines.slice(0, -1).map((line) => {
    const fields = line.split(',')
    const entries = COLUMNS.map(([, key], index) => {
      const field = fields[index] ?? ''
      return [key, field === '' ? undefined : Number(field)]
    })
    return Object.fromEntries(entries) as unknown as Second
  })
}
