/**
 * Owns `POST /v1/deadletters/replay` and `/v1/deadletters/purge`: dead letters are put through again, or removed for good.
 *
 * Always true: nothing is meant by default; only what the token's filters select is touched, and a request that names one that they do not
 * select touches nothing. An answer 200 is on disk. A replay is carried out by the process that appends to the log
 * (`Log.replay`), also when its answer did not come.
 * Bounds: `DEAD_LETTER_SEQUENCES_MAX` ids; `REMOVALS_MAX` requests under way, `REMOVALS_PER_TOKEN_MAX` of one token; one more is refused.
 */

import { setImmediate as nextTurn } from 'node:timers/promises'
import { isDeviceId, isStreamName } from '../identity/topics.ts'
import type { DeadLetterBox, DeadLetterFilter } from '../log/log.ts'
import { LogError } from '../log/log-error.ts'
import type { Clock } from '../platform/clock.ts'
import { DEAD_LETTER_SEQUENCES_MAX } from '../platform/limits.ts'
import type { Logger } from '../platform/logger.ts'
import type { Access } from './access.ts'
import { isCode, mayRead, sequenceOf, withinFilters } from './dead-letters.ts'
import { readTime } from './parameters.ts'
import { Refusal } from './refusal.ts'
import { Shares } from './shares.ts'

const REMOVALS_MAX = 4
const REMOVALS_PER_TOKEN_MAX = 2
/** Letters that are read in one turn, to see whose they are. */
const READS_PER_TURN = 16
const RIGHT =
  'right is {"ids": ["17", "18"]}, or one or more of {"device": "truck-7", "code": "malformed-json", "stream": "power", "before": "-30d"}'

export type RemovalsLog = Pick<DeadLetterBox, 'deadLetter' | 'replay' | 'purge'>

export interface RemovalsDependencies {
  readonly log: RemovalsLog
  readonly clock: Clock
  readonly logger: Logger
}

export class DeadLetterRemovals {
  readonly #log: RemovalsLog
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #underWay = new Shares<Access>(REMOVALS_PER_TOKEN_MAX)

  constructor({ log, clock, logger }: RemovalsDependencies) {
    this.#log = log
    this.#clock = clock
    this.#logger = logger
  }

  async replay(body: string, access: Access): Promise<{ readonly replayed: number }> {
    const replayed = await this.#remove('replay', body, access)
    return { replayed }
  }

  async purge(body: string, access: Access): Promise<{ readonly purged: number }> {
    const purged = await this.#remove('purge', body, access)
    return { purged }
  }

  async #remove(how: 'replay' | 'purge', body: string, access: Access): Promise<number> {
    if (!access.principal.deadLetters) {
      throw new Refusal('forbidden', `the token may not ${how} dead letters: ${mendOf('F')}`)
    }
    const selection = readSelection(body, this.#clock.now())
    return this.#underWay.within(access, REMOVALS_MAX, async () => {
      const filter = await this.#within(selection, access)
      const count = await this.#log[how](filter).catch((error: unknown) => {
        if (!(error instanceof LogError) || error.code !== 'log-busy') throw error
        throw new Refusal('too-busy', error.message, { cause: error })
      })
      const by = access.principal.proof?.id
      this.#logger.info({ how, count, by, selection }, 'dead letters were taken out over HTTP')
      return count
    })
  }

  /** Throws a `Refusal` if the token's filters select nothing of what is meant, or not all that is named. */
  async #within(selection: DeadLetterFilter, access: Access): Promise<DeadLetterFilter> {
    const { device, stream, sequences = [] } = selection
    for (const [index, sequence] of sequences.entries()) {
      if (index % READS_PER_TURN === READS_PER_TURN - 1) await nextTurn()
      const letter = await this.#log.deadLetter(sequence)
      if (letter === undefined || mayRead(access, letter)) continue
      throw new Refusal('forbidden', `the dead letter ${sequence} lies outside the token's filters: ${mendOf('F')}`)
    }
    const asked = { ...(device !== undefined && { device }), ...(stream !== undefined && { stream }) }
    const mend = mendOf(`devices/${device ?? '+'}/telemetry/${stream ?? '+'}`)
    return { ...selection, ...withinFilters(access, asked, mend) }
  }
}

const mendOf = (filter: string) => `\`telltale token app --filter ${filter} --dead-letters\` makes one that may`

/** What is meant: never everything. */
function readSelection(body: string, now: number): DeadLetterFilter {
  const read = objectIn(body)
  if (read === undefined) throw wrong('the body is no JSON object')
  const { ids, device, code, stream, before, ...others } = read
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) throw wrong(`the body has ${shown(unknown)}`)
  if (ids !== undefined) {
    if (Object.keys(read).length > 1) throw wrong('the body has ids, and more')
    return { sequences: readIds(ids) }
  }
  if (device !== undefined && !(typeof device === 'string' && isDeviceId(device)))
    throw wrong(`device is ${shown(device)}`)
  if (code !== undefined && !(typeof code === 'string' && isCode(code))) throw wrong(`code is ${shown(code)}`)
  if (stream !== undefined && !(typeof stream === 'string' && isStreamName(stream)))
    throw wrong(`stream is ${shown(stream)}`)
  const filter = {
    ...(device !== undefined && { device }),
    ...(code !== undefined && { code }),
    ...(stream !== undefined && { stream }),
    ...(before !== undefined && { until: readBefore(before, now) }),
  }
  if (Object.keys(filter).length === 0) throw wrong('the body does not say which dead letters are meant')
  return filter
}

function readIds(ids: unknown): number[] {
  if (!Array.isArray(ids) || ids.length === 0) throw wrong('ids is to be a list of one or more')
  if (ids.length > DEAD_LETTER_SEQUENCES_MAX) {
    throw wrong(`${ids.length} ids are given, of which ${DEAD_LETTER_SEQUENCES_MAX} are allowed`)
  }
  return ids.map((id: unknown) => {
    const sequence = typeof id === 'string' || typeof id === 'number' ? sequenceOf(String(id)) : undefined
    if (sequence === undefined) throw wrong(`${shown(id)} is no id of a dead letter`)
    return sequence
  })
}

function readBefore(before: unknown, now: number): number {
  if (typeof before !== 'string' && typeof before !== 'number') throw wrong(`before is ${shown(before)}`)
  try {
    return readTime('before', String(before), now)
  } catch (error) {
    throw error instanceof Refusal ? new Refusal('selection-invalid', error.message) : error
  }
}

const wrong = (what: string) => new Refusal('selection-invalid', `${what}: ${RIGHT}`)

/** Of what was sent a person needs to see the beginning. */
const shown = (value: unknown) => JSON.stringify(value).slice(0, 100)

function objectIn(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}
