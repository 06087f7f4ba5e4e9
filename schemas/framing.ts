/** Owns the door to the ways of writing readings into a payload; `decoder.ts` has the list of them. */

import type { Reading, Rejection } from './reading.ts'

export interface Message {
  readonly device: string
  readonly stream: string
  /** Milliseconds since 1970-01-01T00:00Z. */
  readonly receivedAt: number
  readonly payload: Buffer
  /** What its topic or its content type says (`content-type.ts`); nothing if it is left out. */
  readonly framing?: number
  /** Its place in its shard of the log, if it has one. */
  readonly offset?: number
}

/** What a person is told of a payload: as JSON, and as it is printed, names and values. */
export interface Contents {
  readonly json: Readonly<Record<string, unknown>>
  readonly lines: readonly (readonly [name: string, value: string])[]
}

export interface Remark {
  readonly code: string
  readonly message: string
}

/** How the payloads of a stream's newest version begin, where that says which version it is: in hexadecimal, of one reading and of a batch. */
export interface Publishing {
  readonly firstBytes?: string
  readonly batchFirstBytes?: string
}

/**
 * One way to write readings into a payload. It is never asked about an empty payload, and no payload makes it throw. A message may be its
 * own by what its sender says, too, whatever it begins with.
 */
export interface Framing {
  /** In one word, as `show` and the catalogue name it. */
  readonly key: string
  /** What senders know it by (`content-type.ts`). */
  readonly numbers: readonly number[]
  /** Apps that decode messages themselves read it, too. */
  readonly isForApps?: true
  /** In one word. */
  readonly format: string
  readonly name: string
  /** How its payloads begin, for the sender of one that begins otherwise; undefined if no first byte says that it is this. */
  readonly start?: string
  /** How readings of a stream are published by it; undefined of a stream that it does not read. */
  publishing(stream: string): Publishing | undefined
  /** Whether the payload begins as this framing's do. Asked for every message: it looks at a few bytes. */
  claims(message: Message): boolean
  /** Why a message that it claimed is set aside, as far as its head says; what is let pass may be set aside all the same. */
  glance(message: Message): Rejection | undefined
  /** All readings of a message that it claimed, or why it is set aside. They keep nothing of the payload. */
  decode(message: Message): readonly Reading[] | Rejection
  /** What its sender should know of a message that was decoded; nothing as a rule. Asked for every message. */
  remark?(message: Message): Remark | undefined
  /** What can be read of a message that it claimed, as far as it goes. Reads no more than is there. */
  show(message: Message): Contents
}

/** Is made of the registry. */
export type FramingClass<Registry> = new (registry: Registry) => Framing
