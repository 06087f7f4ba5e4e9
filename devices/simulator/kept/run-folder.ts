/**
 * Owns what a run leaves behind, in a folder of its own: what it sent and what came back, event by event, so that it can be verified later.
 *
 *   run.json          the scenario, where it ran, when (`RunRecord`)
 *   messages-<p>.tsv  of each process: what was sent and acknowledged
 *   live.tsv          readings as they came at an app
 *   summary.json, seconds.csv, latency.hgrm, junit.xml, report.html   for people (`../report/`)
 *
 * `messages-<p>.tsv` has one event a line, its fields between tabs; times are milliseconds since 1970 with three decimals. The first field
 * says what it is:
 *
 *   s  number  at  due  device  topic  qos  hash  fault  outcome  rows     a message was sent for the first time
 *   r  number  at                                                          it was sent again, with DUP
 *   a  number  at  code                                                    it was acknowledged; code: the reason of MQTT 5, 0 without
 *   e  at  device  code  stream                                            the device was told on its errors topic
 *
 * `number` counts the messages of the process from 0. `hash` is of the payload, 16 hexadecimal digits. `fault` is what made it what it is,
 * `kind/number` with the fault's number in the scenario from 0 (those by hand come behind), `-` for none. `outcome` is what is to become of it: `stored`, `dead:<code>`, `dropped`. `rows` are its readings,
 * `stream/ts=hash` with commas between (empty if it is none): `ts` as apps see it, the hash of what apps see (`row-hash.ts`),
 * and of a stream with tags `~` and a hash of these behind it.
 *
 * `live.tsv`: at  device  stream  ts  hash  received; a line `gap  at  missed  reason` for each gap that was told.
 * Of a broker that is not ours: `message  at  topic  hash  dup`, the hash of the payload, `dup` if it came with DUP; after a gap one with the
 * reason `session-forgotten` if the broker had not kept the subscriber's session.
 *
 * Always true: a line is written after the message has been given to the socket, and before its acknowledgement is counted; a last line
 * without its end was cut off, and is not counted. Bound: about 150 bytes a message; what is not written yet is at most `PENDING_BYTES_MAX`.
 */

import type { Scenario } from '../scenario/scenario.ts'

/** `run.json`. Infinity is null in it. */
export interface RunRecord {
  readonly scenario: Scenario
  /** The broker. */
  readonly url: string
  /** Where the store, the dead letters and live readings are asked for; undefined: nowhere (another broker than ours). */
  readonly gateway: string | undefined
  /** Milliseconds since 1970: when the first message was due, and when the last acknowledgement had come. */
  readonly beganAt: number
  readonly endedAt: number | undefined
  readonly processes: number
  /** Of the platform before the first message: `accepted`, `stored`, `deadLettered`, `pending`. */
  readonly booksBefore: Readonly<Record<string, unknown>> | undefined
  /** Likewise when the platform had caught up after the last, and when that was by its own clock (`at`); what came later is of others. */
  readonly booksAfter?: Readonly<Record<string, unknown>> | undefined
  /** The bytes of each file from which it is verified, once it is complete (`kept-files.ts`). */
  readonly files?: Readonly<Record<string, number>>
}
