/**
 * Owns what a way to write messages is: made for one device and one sending. Always true: what it writes it reads, by the platform's own
 * decoder.
 */

import type { Reading, Rejection } from '../../../schemas/reading.ts'
import type { Group, Sending } from '../scenario/scenario.ts'
import { SimulatorError } from '../simulator-error.ts'
import type { SentVersion, SimulatorSchemas } from './simulator-schemas.ts'

/** A reading before it is written: as its stream's schema has it, nested records and all. */
export type MeasuredRecord = Record<string, unknown>

/** A message that must come before all others of a connection. */
export interface Birth {
  readonly topic: string
  readonly payload: Buffer
}

export interface WireFormat {
  readonly topic: string
  /** Of which its readings are, if not of the one that sends them. */
  readonly device?: string | undefined
  /** Whether dates, decimals and bytes are to be as JSON has them, and not as Avro does. */
  readonly drawsJson: boolean
  /** It has no times between two milliseconds, whatever the schema has. */
  readonly wholeMs?: true
  birth(at: number): readonly Birth[]
  write(records: readonly MeasuredRecord[]): Buffer
  read(topic: string, payload: Buffer, receivedAt: number): readonly Reading[] | Rejection
}

export interface WireOptions {
  readonly group: Group
  readonly sending: Sending
  readonly device: string
  readonly version: SentVersion
  readonly schemas: SimulatorSchemas
}

export type WireFormatOf = (options: WireOptions) => WireFormat

export const NO_BIRTH: readonly Birth[] = []

/** Of a stream, or a device, that cannot be sent so: why, and what would be right. */
export const notSendable = (what: string): SimulatorError => new SimulatorError('unsupported-format', what)
