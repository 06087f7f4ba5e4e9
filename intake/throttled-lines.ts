/**
 * Owns the log lines about clients and messages that were turned away: an engineer looks there for why a device has no data, and clients
 * that try in a loop must not fill the disk with them.
 *
 * Bounds: `REFUSAL_LINES_PER_SECOND_MAX`, `REFUSAL_CHARS_MAX` of a text that the client made. The next line says how many were `unsaid`; the metrics count all.
 */

import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import { printable } from '../platform/printable.ts'
import { TokenBucket } from '../platform/token-bucket.ts'

/** Log lines about clients that were turned away; further ones are counted in the next line. */
export const REFUSAL_LINES_PER_SECOND_MAX = 20
/** Characters of such a line's message, and of its client id. */
export const REFUSAL_CHARS_MAX = 500

interface Refused {
  readonly client: string
  /** The address it came from, where that is known. */
  readonly from?: string
  /** Of a closed set. */
  readonly reason: string
}

export class ThrottledLines {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #bucket = new TokenBucket({
    capacity: REFUSAL_LINES_PER_SECOND_MAX,
    perSecond: REFUSAL_LINES_PER_SECOND_MAX,
  })
  #unsaid = 0

  constructor(dependencies: { readonly clock: Clock; readonly logger: Logger }) {
    this.#clock = dependencies.clock
    this.#logger = dependencies.logger
  }

  say(message: string, { client, from, reason }: Refused): void {
    if (!this.#bucket.tryTake(this.#clock.now())) {
      this.#unsaid++
      return
    }
    const fields = { client: shortened(client), ...(from !== undefined && { from }), reason }
    this.#logger.info(this.#unsaid === 0 ? fields : { ...fields, unsaid: this.#unsaid }, shortened(message))
    this.#unsaid = 0
  }
}

/** Such lines are for a terminal too, and the client chose what stands in them. */
const shortened = (text: string): string =>
  printable(text.length <= REFUSAL_CHARS_MAX ? text : `${text.slice(0, REFUSAL_CHARS_MAX)} ...`)
