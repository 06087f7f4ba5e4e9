/** Owns why a message was acknowledged and is not taken as it was meant, which MQTT 5 can tell its sender. */

/** Why a message was acknowledged and dropped. */
export type DroppedReason = 'payload-too-large' | 'publish-forbidden' | 'rate-limited'

export interface NotTaken {
  readonly code: DroppedReason | 'set-aside'
  /** For its sender. */
  readonly text: string
}
