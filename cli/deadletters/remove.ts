/** Owns `telltale deadletters replay` and `purge`: the commands that take dead letters out. Nothing is meant by default. */

import { setTimeout as delay } from 'node:timers/promises'
import { Command } from 'commander'
import type { DeadLetterFilter } from '../../log/log.ts'
import { LogError } from '../../log/log-error.ts'
import { TelltaleError } from '../../platform/errors.ts'
import { DEAD_LETTER_SEQUENCES_MAX } from '../../platform/limits.ts'
import { withLog } from '../log.ts'
import { UsageError } from '../usage-error.ts'
import { addFilters, type FilterOptions, filterOf, parseNumber } from './filters.ts'

/** A command that asked for a replay carries it out itself when no process that appends has begun by then. */
const REPLAY_TAKEOVER_MS = 1_000

/** Of the numbers in an error. */
const NUMBERS_SHOWN = 10

interface RemoveOptions extends FilterOptions {
  readonly all?: boolean
  readonly json?: boolean
}

export function replayCommand(): Command {
  return removing('replay', 'put them through the platform again, as after a schema was added', async (filter) => {
    return { replayed: await replay(filter) }
  })
}

export function purgeCommand(): Command {
  return removing('purge', 'remove them for good; the ledger keeps counting them', async (filter) => {
    return { purged: await withLog((log) => log.purge(filter)) }
  })
}

function removing(
  name: string,
  description: string,
  remove: (filter: DeadLetterFilter) => Promise<Record<string, number>>,
): Command {
  const number = parseNumber(Number.MAX_SAFE_INTEGER)
  return addFilters(new Command(name))
    .description(description)
    .argument(
      '[numbers...]',
      'their numbers, as listed; or options',
      (text, all: number[]) => [...all, number(text)],
      [],
    )
    .option('--all', 'all of them')
    .option('--json', 'as JSON')
    .action(async (sequences: number[], options: RemoveOptions) => {
      const counts = await remove(meant(name, sequences, options))
      if (sequences.length > 0 && Object.values(counts).every((count) => count === 0)) {
        const numbers = `${sequences.slice(0, NUMBERS_SHOWN).join(', ')}${sequences.length > NUMBERS_SHOWN ? ', ...' : ''}`
        throw new TelltaleError('no-dead-letter', `there is no dead letter ${numbers}: see telltale deadletters list`)
      }
      if (options.json) process.stdout.write(`${JSON.stringify(counts)}\n`)
      else for (const [what, count] of Object.entries(counts)) process.stdout.write(`${what} ${count}\n`)
    })
}

/** Throws a `UsageError` unless it was said which. */
function meant(name: string, sequences: readonly number[], options: RemoveOptions): DeadLetterFilter {
  const filter = { ...filterOf(options), ...(sequences.length > 0 && { sequences }) }
  if (sequences.length > DEAD_LETTER_SEQUENCES_MAX) {
    throw new UsageError(`${sequences.length} numbers are given: allowed are ${DEAD_LETTER_SEQUENCES_MAX}, or options`)
  }
  const isGiven = Object.keys(filter).length > 0
  const which = 'numbers or options such as --code that say which, or --all'
  if (!isGiven && options.all !== true) throw new UsageError(`${name} needs ${which}`)
  if (isGiven && options.all === true) throw new UsageError(`${name} needs ${which}, not both`)
  return filter
}

/**
 * By the process that appends to the log; if none takes the request, this one takes its place for as long as it takes. It
 * asks first, for the lock alone cannot tell that there is one in another container.
 */
function replay(filter: DeadLetterFilter): Promise<number> {
  return withLog(async (log) => {
    const before = await log.deadLetterCounts()
    let isDone = false
    const replaying = log.replay(filter).finally(() => {
      isDone = true
    })
    await Promise.race([replaying, delay(REPLAY_TAKEOVER_MS)])
    const { replayed } = await log.deadLetterCounts()
    if (isDone || replayed > before.replayed) return replaying
    try {
      return await withLog(() => replaying, { writer: true })
    } catch (error) {
      if (error instanceof LogError && error.code === 'log-locked') return replaying
      throw error
    }
  })
}
