/** Owns which feed a subscription has, for the live tail or for a past of its own. */

import type { LogIdentity } from '../../log/position.ts'
import type { Decoder } from '../../schemas/decoder.ts'
import type { Reading } from '../../schemas/reading.ts'
import { formatCursor } from './cursor.ts'
import { type Feed, type FeedOutput, type FeedTarget, PlainFeed } from './feed.ts'
import type { Wanted } from './groups.ts'
import { RawFeed } from './raw-feed.ts'
import { ReducedFeed, type ReducedSeries } from './reduced-feed.ts'

/** A rate so small that its first window never ends: all that is taken becomes one reading a series. */
const ONE_WINDOW = { maxRate: Number.MIN_VALUE, reduce: 'last' } as const

export class Feeds {
  readonly tagsOf: (stream: string) => ReadonlySet<string>
  readonly #log: LogIdentity
  readonly #decoder: Pick<Decoder, 'forApps'>
  readonly #shared: ReducedSeries

  constructor(dependencies: {
    readonly log: LogIdentity
    readonly decoder: Pick<Decoder, 'forApps'>
    readonly tagsOf: (stream: string) => ReadonlySet<string>
    /** Equal for two readings exactly when they are of one series. */
    readonly seriesOf: (reading: Reading) => string
  }) {
    this.tagsOf = dependencies.tagsOf
    this.#log = dependencies.log
    this.#decoder = dependencies.decoder
    this.#shared = { count: 0, keyOf: dependencies.seriesOf, tagsOf: dependencies.tagsOf }
  }

  of(target: FeedTarget, { rate, isRaw }: Wanted, publish: FeedOutput['publish']): Feed {
    const output = this.#outputTo(publish)
    if (isRaw) return new RawFeed(target, output, this.#decoder)
    return rate === undefined ? new PlainFeed(target, output) : new ReducedFeed(target, rate, output, this.#shared)
  }

  /** Of each series the last reading only, at the end; the others are counted as merged into it. */
  merging(target: FeedTarget, { rate = ONE_WINDOW }: Wanted, publish: FeedOutput['publish']): Feed {
    return new ReducedFeed(target, rate, this.#outputTo(publish), this.#shared)
  }

  #outputTo(publish: FeedOutput['publish']): FeedOutput {
    return { cursorText: (cursor) => formatCursor(this.#log, cursor), publish }
  }
}
