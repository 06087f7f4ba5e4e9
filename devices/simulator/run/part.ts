/**
 * Owns what one process of a run does, wherever it is: this one (`local-part.ts`), or one that was forked (`forked-part.ts`). Times are
 * milliseconds since 1970, since each process counts from its own start.
 */

import type { FleetShare } from '../fleet/fleet.ts'
import type { AcknowledgedReading } from '../kept/message-log.ts'
import type { NumberedFault } from '../scenario/befallen.ts'
import type { Cost } from './own-cost.ts'

export interface Part {
  /** Throws a `SimulatorError` for what cannot be drawn or written, before anything connects. */
  prepare(): Promise<void>
  /** Resolves when every device has been connected once. Throws a `SimulatorError` `refused` or `unreachable`. */
  connect(signal: AbortSignal): Promise<void>
  begin(at: number, startAt: number): void
  /** Resolves when all is sent, at `until`, when a device was refused for good, or when the signal is aborted. */
  publish(until: number, signal: AbortSignal): Promise<void>
  /** Sends what was due by now, and waits so long for the outstanding acknowledgements. */
  drain(ms: number): Promise<void>
  close(): Promise<void>
  /** What came since the last time is in its histograms. */
  share(): Promise<PartShare>
  /** By device, of all its payloads so far. */
  payloadHashes(): Promise<Readonly<Record<string, string>>>
  befall(device: string, fault: NumberedFault): void
  /** Ends one that was done by hand. */
  relieve(device: string, number: number): void
  /** Of a process of its own, once it is closed. */
  cost?(): Cost
  /** As far as it is known; of a device of another process undefined. */
  isOnline(device: string): boolean | undefined
}

export interface PartShare extends FleetShare {
  /** The newest since the last time. */
  readonly acknowledged?: AcknowledgedReading
  /** Why no device is connected yet, or most are not any more. */
  readonly problem?: string
  /** Which device was refused that should not have been, and why. */
  readonly refused?: string
}
