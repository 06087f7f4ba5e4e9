/** Owns why a message was acknowledged and is not taken as it was meant, which MQTT 5 can tell its sender. */

import type { DropCode } from '../../intake/verdict.ts'

export interface NotTaken {
  readonly code: DropCode | 'set-aside'
  /** For its sender. */
  readonly text: string
}
