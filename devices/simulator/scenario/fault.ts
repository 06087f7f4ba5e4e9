/**
 * Owns which faults there are: what a fleet in the field does wrong, on a timeline. Each has a window, the devices that it befalls, and
 * what a platform is expected to make of it (`docs/simulator.md` has the table).
 */

/** Which devices of the fleet: a share of them (0 to 1), so many, or those whose id matches (`*` stands for any text). */
export type Befallen = { readonly share: number } | { readonly count: number } | { readonly ids: string }

interface Period {
  /** From when the fleet begins to send. */
  readonly atMs: number
  /** Infinity: to the end. */
  readonly forMs: number
  readonly devices: Befallen
}

/** Of the messages within its window, so many (0 to 1). */
interface OfMessages extends Period {
  readonly share: number
}

export type Fault =
  /** The link is cut, and comes back at the end of the window; what is due meanwhile is sent then. */
  | (Period & { readonly kind: 'link-loss' })
  /** All are cut at once, and come back within `jitterMs`; 0: at once. */
  | (Period & { readonly kind: 'reconnect-storm'; readonly jitterMs: number })
  /** A message is sent twice, the second time with DUP. */
  | (OfMessages & { readonly kind: 'duplicates' })
  /** A message is sent after the one behind it. */
  | (OfMessages & { readonly kind: 'reordering' })
  /** The device's clock is off by so much, for the window. */
  | (Period & { readonly kind: 'clock-offset'; readonly byMs: number })
  /** It goes away from the right time by so many milliseconds an hour. */
  | (Period & { readonly kind: 'clock-drift'; readonly msPerHour: number })
  /** It jumps once, and stays. */
  | (Period & { readonly kind: 'clock-jump'; readonly byMs: number })
  /** A reading has the time of the one before it, and other values. */
  | (OfMessages & { readonly kind: 'repeated-times' })
  /** A sensor, or without a column all of them, says the same for the window. */
  | (Period & { readonly kind: 'stuck'; readonly column: string | undefined })
  /** Now and then a value far off. */
  | (OfMessages & { readonly kind: 'spikes'; readonly factor: number })
  /** The payload ends early. */
  | (OfMessages & { readonly kind: 'truncated' })
  /** Bytes that mean harm: noise, lengths that promise gigabytes, nested a thousand deep. */
  | (OfMessages & { readonly kind: 'hostile' })
  /** The fingerprint is of no registered schema. */
  | (OfMessages & { readonly kind: 'unknown-schema' })
  /** To a topic that is another device's. */
  | (OfMessages & { readonly kind: 'forbidden-topic' })
  /** It is cut, and comes back with a token that is over, and then with a good one. */
  | (Period & { readonly kind: 'expired-token' | 'revoked-token' | 'wrong-client-id' })
  /** A second one comes with its id, and both come back for the window. */
  | (Period & { readonly kind: 'same-id' })
  /** It is connected and says nothing; what is due meanwhile is not measured. */
  | (Period & { readonly kind: 'mute' })
  /** It acknowledges no command. */
  | (Period & { readonly kind: 'never-acknowledges' })

export type FaultKind = Fault['kind']
