/**
 * Owns recording from a live platform: what apps get by some filters, as it comes, into a file that can be replayed.
 *
 * Always true: what is missing is said in the file where it is missing, and told; a connection that is lost goes on where it was, which is
 * the SDK's to do. Against nobody it ends after `UNREACHABLE_MS`. Behind a gap some readings may be in the file twice: the store, which is
 * asked then, knows them by their times alone. Bound: what the SDK keeps for a slow reader; writing is not waited with.
 */

import { connect, type SubscriptionState, type TelltaleError, type Token } from '../../../client/client.ts'
import { SimulatorError } from '../simulator-error.ts'
import { RecordingFile } from './recording-file.ts'

/** No gateway has answered until then: it ends. */
const UNREACHABLE_MS = 3_000

export interface RecordOptions {
  /** Of the gateway. */
  readonly url: string
  readonly filters: readonly string[]
  readonly file: string
  /** From when the gateway has answered; Infinity: until somebody ends it. */
  readonly forMs: number
  /** It begins so long ago: `15m`. */
  readonly last: string | undefined
}

export interface RecordDeps {
  readonly token: Token
  /** Gets a sentence for whatever a person should know at once. */
  readonly tell: (sentence: string) => void
  /** Ends it. */
  readonly signal: AbortSignal
}

export interface RecordAccount {
  readonly readings: number
  /** Messages that are missing, and in how many gaps. */
  readonly missed: number
  readonly gaps: number
  readonly bytes: number
}

/**
 * Resolves when it was ended, or its time is over. Throws a `RecordingError` if the file cannot be written, a `SimulatorError` `unreachable`,
 * and what the SDK throws for what would not get better, such as a filter that the token does not allow: all that came before is in the file.
 */
export async function record(options: RecordOptions, deps: RecordDeps): Promise<RecordAccount> {
  const file = new RecordingFile(options.file)
  try {
    return await recordInto(file, options, deps)
  } finally {
    file.close()
  }
}

async function recordInto(
  file: RecordingFile,
  { url, filters, forMs, last }: RecordOptions,
  { token, tell, signal }: RecordDeps,
): Promise<RecordAccount> {
  let [readings, missed, gaps] = [0, 0, 0]
  let end: NodeJS.Timeout | undefined
  let unreachable: SimulatorError | undefined
  let why = 'nothing has answered'
  let isThere = false
  const onState = (state: SubscriptionState, error: TelltaleError | undefined) => {
    if (state === 'ended') return
    if (error !== undefined) why = error.message
    if (state === 'connecting' && isThere && error !== undefined) tell(`the gateway is away: ${error.message}`)
    if (state === 'connecting' || isThere) return
    isThere = true
    clearTimeout(giveUp)
    if (Number.isFinite(forMs)) end = setTimeout(() => subscription.close(), forMs)
  }
  const app = connect(url, { token })
  const start = last === undefined ? 'now' : { last }
  const subscription = app.subscribe(filters, { start, onState, signal })
  const giveUp = setTimeout(() => {
    unreachable = new SimulatorError('unreachable', `no gateway answers at ${url}: ${why}`)
    subscription.close()
  }, UNREACHABLE_MS)
  try {
    for await (const event of subscription.events()) {
      if (event.type === 'readings') {
        file.readings(event.readings)
        readings += event.readings.length
      } else if (event.type === 'gap') {
        file.gap(event.reason, event.missed)
        missed += event.missed
        gaps++
        tell(`missing here: ${event.missed} messages (${event.reason})`)
      }
    }
  } finally {
    clearTimeout(giveUp)
    clearTimeout(end)
    app.close()
  }
  if (unreachable !== undefined) throw unreachable
  return { readings, missed, gaps, bytes: file.bytes }
}
