/** Owns what a platform is expected to do with each kind of fault, and how often something else was seen. */

import type { FaultKind } from '../scenario/fault.ts'
import type { FaultAccount } from './fault-account.ts'

export interface Expectation {
  /** For a person. */
  readonly sentence: string
  /**
   * Who sees whether it was so: the device itself; the verification, of each message; whoever asks the platform while it is done
   * (`../run/fault-checks.ts`).
   */
  readonly seenBy: 'device' | 'verification' | 'asking'
}

const seen = (sentence: string): Expectation => ({ sentence, seenBy: 'device' })
const found = (sentence: string): Expectation => ({ sentence, seenBy: 'verification' })
const asked = (sentence: string): Expectation => ({ sentence, seenBy: 'asking' })

const EXPECTATIONS: Readonly<Record<FaultKind, Expectation>> = {
  'link-loss': seen('the device comes back, and what was due meanwhile is stored, at the time when it was measured'),
  'reconnect-storm': seen('all are let in again, and nothing of what they had not got acknowledged is lost'),
  duplicates: found('the reading is stored once; an app may see it twice'),
  reordering: found('both are stored, each at its own time'),
  'clock-offset': found('stored at the time that the device says, or set aside as bad-timestamp if that cannot be'),
  'clock-drift': found('stored at the time that the device says'),
  'clock-jump': found('stored at the time that the device says, or set aside as bad-timestamp if that cannot be'),
  'repeated-times': found('the later of two is stored, the earlier is superseded'),
  stuck: found('stored as it is'),
  spikes: found('stored as it is, or set aside as invalid-reading if the schema does not allow it'),
  truncated: found('set aside with the code that the decoder gives, and nothing else suffers'),
  hostile: found('set aside with the code that the decoder gives, and nothing else suffers'),
  'unknown-schema': found('set aside as unknown-schema'),
  'forbidden-topic': found('acknowledged and dropped: neither stored nor set aside'),
  'expired-token': seen('refused each time, and let in again with a good token'),
  'revoked-token': seen('refused each time, and let in again with a good token'),
  'wrong-client-id': seen('refused each time, and let in again as itself'),
  'same-id': seen('the newer connection takes the older one over, and nothing acknowledged is lost'),
  mute: asked('the device is told to be silent, and nothing else'),
  'never-acknowledges': asked('its commands stay unacknowledged, and no other device waits'),
}

/** How often something else was seen than what is expected; 0 where nobody looked. */
export const unexpectedOf = ({ times, looked = times, asExpected = looked }: FaultAccount): number =>
  Math.max(0, looked - asExpected)

export const expectationOf = (kind: FaultKind): Expectation => EXPECTATIONS[kind]
