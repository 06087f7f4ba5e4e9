/**
 * Owns how soon the store has what was acknowledged: each second one reading that was acknowledged `LATE_MS` ago is asked of history, and what
 * is not there is asked again until it is. `store.tsv` has a line for each, times in milliseconds since 1970:
 *
 *   acknowledged  device  stream  ts  late  why
 *
 * `late`: 0 if it was there at the first look, else how long after its acknowledgement it came, `-` if it had not come at the end. `why`:
 * `store-away` if the platform said so meanwhile, `no-answer` if nobody could be asked at one of the looks, else `-`. Bound: `ASKED_MAX` readings are waited for at once.
 */

import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../../../platform/clock.ts'
import { TelltaleError } from '../../../platform/errors.ts'
import type { Reading } from '../../../schemas/reading.ts'
import type { Findings } from './findings.ts'
import type { GatewayApi } from './gateway-api.ts'
import { askAgain } from './history.ts'
import { microsOf, type Sent, timeText } from './sent.ts'

export const STORE_FILE = 'store.tsv'
const LOOK_MS = 1_000
const ASKED_MAX = 5
const FIELDS = 6

/** What excuses a reading that was not there. */
type Excuse = 'store-away' | 'no-answer' | '-'

type Probed = Pick<Reading, 'device' | 'stream' | 'ts'> & { readonly acknowledgedAt: number }

export class StoreProbe {
  readonly #file: string
  readonly #lateMs: number
  readonly #deps: { readonly gateway: GatewayApi; readonly clock: Clock }
  /** One of each second, which is not old enough yet. */
  readonly #young: Probed[] = []
  readonly #asked = new Map<Probed, Excuse>()
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<void> | undefined
  #isStopping = false

  /** `gateway`: one that does not wait long for an answer. */
  constructor(
    { directory, lateMs }: { readonly directory: string; readonly lateMs: number },
    deps: { readonly gateway: GatewayApi; readonly clock: Clock },
  ) {
    this.#file = join(directory, STORE_FILE)
    this.#lateMs = lateMs
    this.#deps = deps
  }

  /** Of a message that is to be stored. It is called for each; one a second is kept. */
  acknowledged(reading: Probed): void {
    const last = this.#young.at(-1)
    if (last === undefined || reading.acknowledgedAt - last.acknowledgedAt >= LOOK_MS) this.#young.push(reading)
  }

  start(): void {
    this.#timer ??= setInterval(() => {
      this.#looking ??= this.look().finally(() => {
        this.#looking = undefined
      })
    }, LOOK_MS)
  }

  /** What has not come by now is written as such. Waits for one answer at most. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#isStopping = true
    await this.#looking
    for (const [probed, why] of this.#asked) this.#write(probed, '-', why)
    this.#asked.clear()
    this.#young.length = 0
  }

  async look(): Promise<void> {
    const old = this.#deps.clock.now() - this.#lateMs
    while (!this.#isStopping && (this.#young[0]?.acknowledgedAt ?? old) < old && this.#asked.size < ASKED_MAX) {
      const probed = this.#young.shift()
      if (probed === undefined) continue
      const isThere = await this.#isThere(probed)
      if (isThere) this.#write(probed, 0, '-')
      else this.#asked.set(probed, isThere === undefined ? 'no-answer' : await this.#why('-'))
    }
    // While all that may be asked for is waited for, seconds are left out.
    if (this.#young.length > ASKED_MAX + this.#lateMs / LOOK_MS) this.#young.shift()
    for (const [probed, why] of this.#asked) {
      if (this.#isStopping) return
      const isThere = await this.#isThere(probed)
      if (isThere === undefined) this.#asked.set(probed, 'no-answer')
      else if (!isThere) this.#asked.set(probed, await this.#why(why))
      else {
        this.#write(probed, Math.round(this.#deps.clock.now() - probed.acknowledgedAt), why)
        this.#asked.delete(probed)
      }
    }
  }

  /** Undefined if nobody answers: it is asked again, and the time runs. */
  async #isThere(probed: Probed): Promise<boolean | undefined> {
    try {
      return (await askAgain(this.#deps.gateway, probed)).length > 0
    } catch (error) {
      if (error instanceof TelltaleError) return undefined
      throw error
    }
  }

  async #why(known: Excuse): Promise<Excuse> {
    if (known !== '-') return known
    try {
      const platform = await this.#deps.gateway.get<{ store?: { away?: unknown } }>('/v1/platform')
      return platform?.store?.away === undefined ? '-' : 'store-away'
    } catch (error) {
      if (error instanceof TelltaleError) return 'no-answer'
      throw error
    }
  }

  #write({ acknowledgedAt, device, stream, ts }: Probed, late: number | '-', why: string): void {
    appendFileSync(this.#file, `${acknowledgedAt.toFixed(3)}\t${device}\t${stream}\t${ts}\t${late}\t${why}\n`)
  }
}

/** Tells what was late while nothing was wrong. */
export function judgeProbes(
  directory: string,
  { findings, sent, lateMs }: { readonly findings: Findings; readonly sent: Sent; readonly lateMs: number },
): void {
  const file = join(directory, STORE_FILE)
  if (!existsSync(file)) return
  const late: { example: string; lateMs: number }[] = []
  for (const line of readFileSync(file, 'utf8').split('\n').slice(0, -1)) {
    const fields = line.split('\t')
    const [acknowledged = '', device = '', stream = '', ts = '', lateText = '', why = ''] = fields
    if (fields.length !== FIELDS || lateText === '0' || why !== '-') continue
    const [at, ms] = [Number(acknowledged), lateText === '-' ? lateMs : Number(lateText)]
    if (sent.outages.overlap(at, at + ms)) continue
    late.push({ example: `${device} ${stream} ${timeText(microsOf(Number(ts)))}`, lateMs: ms })
  }
  const most = late.reduce((max, each) => Math.max(max, each.lateMs), 0)
  for (const { example } of late) {
    const because = `history did not have it ${lateMs / 1000} s after its acknowledgement; the latest came after ${(most / 1000).toFixed(1)} s`
    findings.add({ code: 'late', stage: 'store', because, example })
  }
}
