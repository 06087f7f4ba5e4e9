/**
 * Owns what apps are given: readings, with types that follow from the filter. `S` is a map from a stream's name to its values, such
 * as `Streams` (streams.ts) or what `telltale-client types` prints for an installation.
 */

export type Value = number | boolean | string | readonly number[]

export interface Reading<Stream extends string = string, Values = Record<string, Value>> {
  readonly device: string
  readonly stream: Stream
  /** When it was measured, milliseconds since 1970; with decimals where the stream's times are in microseconds. */
  readonly ts: number
  /** When the platform had it, milliseconds; absent if nobody knows any more. */
  readonly received?: number
  /** By column. Null is left out. */
  readonly values: Readonly<Values>
}

type OfAnyStream<S> = { [Name in keyof S & string]: Reading<Name, S[Name]> }[keyof S & string]

/** The readings that a filter selects: of the stream that it ends with, or of all streams. */
export type ReadingOf<S, Filter extends string> = string extends Filter
  ? Reading
  : Filter extends `${string}/telemetry/${infer Name}`
    ? Name extends keyof S & string
      ? Reading<Name, S[Name]>
      : Name extends '+' | '#'
        ? OfAnyStream<S>
        : Reading
    : OfAnyStream<S>

/** The names of a reading's columns. */
export type FieldOf<R> = R extends Reading<string, infer Values> ? keyof Values & string : never

/** A reading of which these fields were asked for; its tags may be there, too. */
export type WithFields<R, Field extends string> =
  R extends Reading<infer Stream, infer Values>
    ? [keyof Values & string] extends [Field]
      ? R
      : Reading<Stream, Pick<Values, Field & keyof Values> & Partial<Values>>
    : never

/** Part of what was read, and where to go on after it. */
export interface Batch<R = Reading> {
  readonly readings: readonly R[]
  /** `start: { after: cursor }` goes on behind these readings, in another process too. */
  readonly cursor: string
  /** Readings that stand in these besides (`maxRate`). */
  readonly merged: number
  /** Behind a gap: what a store has of its time. Some of these were there before, or come again. */
  readonly byTime?: true
}

/** Messages that neither the log nor the store has any more; not all of them need have been of this subscription. */
export interface Gap {
  /** Cursors around what is missing. */
  readonly after: string
  readonly before: string
  readonly reason: 'retention' | 'slow'
  readonly missed: number
}

/** What happens to a subscription, in order. */
export type SubscriptionEvent<R = Reading> =
  | ({ readonly type: 'readings' } & Batch<R>)
  | ({ readonly type: 'gap'; readonly cursor: string } & Gap)
  /** All that was in the past has come; from here on it is now. Comes again after a break. */
  | { readonly type: 'live'; readonly cursor: string }
