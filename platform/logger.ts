/** Owns the shape of log lines: JSON by pino, pretty on a terminal; one child logger a role. */

import { type Logger as PinoLogger, pino } from 'pino'
import { systemClock } from './clock.ts'
import { LogOutput } from './log-output.ts'
import { printableLines } from './printable.ts'

const STANDARD_ERROR = 2

export type Logger = PinoLogger

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export interface LoggerOptions {
  readonly level: LogLevel
  /** Human-readable lines instead of JSON; the caller passes `process.stderr.isTTY`. */
  readonly pretty: boolean
}

/** Logs go to standard error: standard output belongs to what a command was asked to print. */
export function createLogger(options: LoggerOptions): Logger {
  if (options.pretty) {
    const transport = pino.transport({
      target: 'pino-pretty',
      options: { destination: STANDARD_ERROR, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l' },
    })
    return pino({ level: options.level, hooks: { streamWrite: printableLine } }, transport)
  }
  const output = new LogOutput(STANDARD_ERROR, { clock: systemClock })
  return pino({ level: options.level, timestamp: pino.stdTimeFunctions.isoTime }, output)
}

/** A line of JSON whose texts, among them a store's reasons and what clients made up, do not steer the terminal. */
export function printableLine(line: string): string {
  const shown = JSON.parse(line, (_key, value) => (typeof value === 'string' ? printableLines(value) : value))
  return `${JSON.stringify(shown)}\n`
}

/** For tests and tools that want no log at all. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' })
}
