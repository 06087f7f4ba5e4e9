/**
 * Owns `GET /v1/deadletters`, `/v1/deadletters/counts` and `/v1/deadletters/{id}`: the messages that were set aside and are kept, a page at a
 * time, counted, and one as far as it can be read.
 *
 * Always true: a dead letter is for a token whose filters select its stream of its device, for its payload is that stream's; one that the disk
 * gave back changed may be of any, and is for a token whose filters select everything. Counts are for a token whose filters select some telemetry of
 * the device, as its ledger is.
 * Bounds: `LOOKS_PER_ANSWER_MAX` parts of the dead letters are looked at for an answer, with other work in between; what it has not come
 * to by then is on the next page. `ANSWERS_MAX` answers are made at once, `ANSWERS_PER_TOKEN_MAX` for one token; one more is refused.
 */

import { setImmediate as nextTurn } from 'node:timers/promises'
import { isDeviceId, isStreamName, telemetryTopic } from '../identity/topics.ts'
import { formatPlace, parsePlace } from '../log/dead-letter-place.ts'
import type { DeadLetter, DeadLetterBox, DeadLetterLookBack, KeptOfCode, Shards } from '../log/log.ts'
import type { Clock } from '../platform/clock.ts'
import { isForeign, NOT_TOLD } from '../schemas/content-type.ts'
import type { CurrentSchemas } from '../schemas/current-schemas.ts'
import { readForeign } from '../schemas/foreign.ts'
import type { Contents } from '../schemas/framing.ts'
import { REJECTION_CODES } from '../schemas/reading.ts'
import { readSetAside } from '../schemas/set-aside-payload.ts'
import type { Access } from './access.ts'
import { mendOfLetter } from './devices/mends.ts'
import { readLimit, readTime } from './parameters.ts'
import { badParameter, Refusal } from './refusal.ts'
import type { Query } from './request.ts'
import { Shares } from './shares.ts'

const LIMIT_DEFAULT = 100
const LIMIT_MAX = 1_000
/** Of at most 1,000 letters each, or of 1,000 devices: 50,000 small letters take 0.25 s of CPU, no turn more than 16 ms. */
const LOOKS_PER_ANSWER_MAX = 50
/** Counts are as many as one look has, or go on until there are so many. */
const COUNTS_ENOUGH = 10_000
const ANSWERS_MAX = 8
const ANSWERS_PER_TOKEN_MAX = 4

export type DeadLettersLog = Pick<DeadLetterBox, 'lookBack' | 'keptByCode' | 'deadLetter'> & Pick<Shards, 'shards'>

export interface DeadLettersDependencies {
  readonly log: DeadLettersLog
  readonly schemas: Pick<CurrentSchemas, 'show' | 'decode'>
  readonly clock: Clock
}

/** Times in milliseconds since 1970-01-01T00:00Z. */
export interface ListedLetter {
  /** The number that `telltale deadletters list` has. */
  readonly id: string
  /** Empty, as the topic is, of one that the disk gave back changed. */
  readonly device: string
  /** On which it came, without a level that says how it is framed. */
  readonly topic: string
  readonly stream?: string
  readonly code: string
  readonly message: string
  /** When it was received. */
  readonly at: number
  readonly bytes: number
}

export interface ShownLetter extends ListedLetter {
  readonly setAsideAt: number
  /** In base64. */
  readonly payload: string
  readonly decoded: Contents['json'] & {
    /** As it is printed, names and values. */
    readonly lines: Contents['lines']
    /** Why it cannot be read to its end, and behind how many bytes, where that is known. */
    readonly breaks?: { readonly at?: number; readonly why: string }
  }
  readonly mend?: string
}

export class DeadLetters {
  readonly #dependencies: DeadLettersDependencies
  readonly #log: DeadLettersLog
  readonly #underWay = new Shares<Access>(ANSWERS_PER_TOKEN_MAX)

  constructor(dependencies: DeadLettersDependencies) {
    this.#dependencies = dependencies
    this.#log = dependencies.log
  }

  /** Those that were set aside last come first. `next` is there where there may be more, though none may fit. */
  page(
    query: Query,
    access: Access,
  ): Promise<{ readonly deadLetters: readonly ListedLetter[]; readonly next?: string }> {
    query.allow(['device', 'code', 'stream', 'from', 'to', 'limit', 'after'])
    const limit = readLimit(query, LIMIT_DEFAULT, LIMIT_MAX)
    const filter = readFilter(query, access, this.#dependencies.clock.now())
    const after = query.one('after')
    let before = after === undefined ? undefined : parsePlace(after, this.#log.shards.length)
    if (after !== undefined && before === undefined) throw badParameter('after', after, 'the next of the page before')
    return this.#underWay.within(access, ANSWERS_MAX, async () => {
      const deadLetters: ListedLetter[] = []
      for (let looks = 0; looks < LOOKS_PER_ANSWER_MAX; looks++) {
        const asked = { ...filter, limit: limit - deadLetters.length, ...(before !== undefined && { before }) }
        const { found, next } = await this.#log.lookBack(asked)
        for (const letter of found) deadLetters.push(listed(letter))
        before = next
        if (next === undefined || deadLetters.length >= limit) break
        await nextTurn()
      }
      return { deadLetters, ...(before !== undefined && { next: formatPlace(before) }) }
    })
  }

  /** In order of device. */
  counts(query: Query, access: Access): Promise<{ readonly counts: readonly KeptOfCode[]; readonly next?: string }> {
    query.allow(['after'])
    let after = query.one('after') ?? ''
    if (after !== '' && !isDeviceId(after)) throw badParameter('after', after, 'the next of the page before')
    return this.#underWay.within(access, ANSWERS_MAX, async () => {
      const counts: KeptOfCode[] = []
      for (let looks = 0; looks < LOOKS_PER_ANSWER_MAX && counts.length < COUNTS_ENOUGH; looks++) {
        const { kept, next } = await this.#log.keptByCode(after)
        for (const each of kept) if (access.sees(each.device)) counts.push(each)
        if (next === undefined) return { counts }
        after = next
        await nextTurn()
      }
      return { counts, next: after }
    })
  }

  async one(id: string, query: Query, access: Access): Promise<ShownLetter> {
    query.allow([])
    const sequence = sequenceOf(id)
    const letter = sequence === undefined ? undefined : await this.#log.deadLetter(sequence)
    if (letter === undefined) {
      const why = 'it may have been replayed or purged, or had to go for room'
      throw new Refusal('not-found', `there is no dead letter ${JSON.stringify(id)}: ${why}`)
    }
    if (!mayRead(access, letter)) {
      throw new Refusal('forbidden', `the dead letter ${id} lies outside the token's filters`)
    }
    const { json, lines } = readSetAside(letter, this.#dependencies.schemas)
    const breaks = breakIn(json)
    const mend = mendOfLetter(letter.code, letter.framing)
    return {
      ...listed(letter),
      setAsideAt: letter.setAsideAt,
      payload: Buffer.from(letter.payload).toString('base64'),
      decoded: { ...json, lines, ...(breaks && { breaks }) },
      ...(mend !== undefined && { mend }),
    }
  }
}

/** The number that an id is; undefined if it is none. */
export const sequenceOf = (id: string): number | undefined => (/^[1-9]\d{0,14}$/.test(id) ? Number(id) : undefined)

export function mayRead(access: Access, { device, stream }: Pick<DeadLetter, 'device' | 'stream'>): boolean {
  return access.covers({ ...(device !== '' && { device }), ...(stream !== '' && { stream }) })
}

function listed(letter: DeadLetter): ListedLetter {
  const { sequence, device, stream, code, reason, receivedAt, payload } = letter
  return {
    id: String(sequence),
    device,
    topic: topicOf(letter),
    ...(stream !== '' && { stream }),
    code,
    message: reason,
    at: receivedAt,
    bytes: payload.byteLength,
  }
}

function topicOf({ device, stream, framing = NOT_TOLD, payload }: DeadLetter): string {
  const foreign = isForeign(framing) ? readForeign(Buffer.from(payload)) : undefined
  if (foreign !== undefined) return foreign.topic
  return device === '' ? '' : telemetryTopic(device, stream)
}

function readFilter(query: Query, access: Access, now: number): Omit<DeadLetterLookBack, 'before' | 'limit'> {
  const [device, stream, code] = [query.one('device'), query.one('stream'), query.one('code')]
  if (device !== undefined && !isDeviceId(device))
    throw badParameter('device', device, 'a device id: 1 to 64 of A-Z a-z 0-9 . _ : -')
  if (stream !== undefined && !isStreamName(stream))
    throw badParameter('stream', stream, 'the name of a stream: a-z, then up to 63 of a-z 0-9 _')
  if (code !== undefined && !isCode(code)) throw badParameter('code', code, `one of ${REJECTION_CODES.join(', ')}`)
  const [from, to] = [query.one('from'), query.one('to')]
  const asked = { ...(device !== undefined && { device }), ...(stream !== undefined && { stream }) }
  return {
    ...asked,
    ...(code !== undefined && { code }),
    ...(from !== undefined && { since: readTime('from', from, now) }),
    ...(to !== undefined && { until: readTime('to', to, now) }),
    ...withinFilters(access, asked),
  }
}

export const isCode = (text: string) => REJECTION_CODES.some((code) => code === text)

/** What keeps dead letters of a device or a stream within the token's filters. Throws a `Refusal` if these select nothing of them; `mend` is what to do then. */
export function withinFilters(
  access: Access,
  asked: { readonly device?: string; readonly stream?: string },
  mend?: string,
): Pick<DeadLetterLookBack, 'within' | 'device'> {
  if (access.covers(asked)) return {}
  const { device, stream } = asked
  const { selections } = access
  const isSame = (own: string | undefined, other: string | undefined) =>
    own === undefined || other === undefined || own === other
  const isReached = selections.some((own) => isSame(own.device, device) && isSame(own.stream, stream))
  if (!isReached && (device !== undefined || stream !== undefined)) {
    const what = [device && `the device ${device}`, stream && `the stream ${stream}`].filter(Boolean).join(', ')
    throw new Refusal('forbidden', `dead letters of ${what} lie outside the token's filters${mend ? `: ${mend}` : ''}`)
  }
  const devices = new Set(selections.map((own) => own.device))
  const [only] = devices.size === 1 ? devices : []
  // Of one device only its own are looked at.
  return { within: selections, ...(only !== undefined && { device: only }) }
}

/** Where reading stopped, as framings tell it. */
function breakIn(json: Contents['json']): ShownLetter['decoded']['breaks'] {
  const { fault, read } = json as { fault?: unknown; read?: { readonly fault?: unknown; readonly end?: unknown } }
  const why = fault ?? read?.fault
  if (typeof why !== 'string') return undefined
  return { ...(typeof read?.end === 'number' && { at: read.end }), why }
}
