/** Owns reading a binary frame of `telltale.v1.avro`, as docs/contract.md has it. */

import assert from 'node:assert/strict'

export interface RawMessage {
  readonly received: number
  /** Readings of it that were sent before. */
  readonly skip: number
  readonly device: string
  readonly stream: string
  readonly payload: Buffer
}

export interface RawFrame {
  readonly subscription: string
  readonly cursor: string
  readonly messages: readonly RawMessage[]
}

export function readRawFrame(bytes: Buffer): RawFrame {
  assert.equal(bytes[0], 1, 'a binary frame has readings')
  let at = 1
  const take = (length: number) => {
    at += length
    return bytes.subarray(at - length, at)
  }
  const name = (length: number) => take(length).toString('latin1')
  const subscription = name(take(1).readUInt8())
  const cursor = name(take(2).readUInt16LE())
  const messages: RawMessage[] = []
  while (at < bytes.length) {
    const received = take(8).readDoubleLE()
    const skip = take(4).readUInt32LE()
    const device = name(take(1).readUInt8())
    const stream = name(take(1).readUInt8())
    messages.push({ received, skip, device, stream, payload: take(take(4).readUInt32LE()) })
  }
  return { subscription, cursor, messages }
}
