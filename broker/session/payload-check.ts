/**
 * Owns what the broker asks of whoever knows payloads, before it acknowledges telemetry of MQTT 5 (`TELLTALE_MQTT5_CHECK`): whether
 * it will be set aside, and why. Only MQTT 5 has an acknowledgement that can say so, so nobody else is asked.
 */

import type { SetAsideReason } from '../../log/log.ts'

/** A message as the log would have it. */
export interface CheckedMessage {
  readonly device: string
  readonly stream: string
  readonly receivedAt: number
  readonly payload: Buffer
  readonly framing?: number
}

/** Undefined: nothing is known against it. Never throws. */
export type PayloadCheck = (message: CheckedMessage) => SetAsideReason | undefined
