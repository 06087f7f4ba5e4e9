/**
 * Owns every bound of the platform. A name ends with its unit and `_MAX`, `_MIN` or the like; the comment says what
 * happens when it is reached. Limits that depend on each other are asserted below, so a wrong edit stops the start.
 */

import assert from 'node:assert/strict'

const KiB = 1024
const MiB = 1024 * KiB

// --- lifecycle

/** A stop that takes longer fails, naming the part that hangs. The contract promises 10 s in all. */
export const STOP_DEADLINE_MS = 9_500

// --- names and payloads (the contract's)

/** A device id is longer: the connection is refused. */
export const DEVICE_ID_CHARS_MAX = 64
/** A stream's name is longer: the topic is not a telemetry topic. */
export const STREAM_NAME_CHARS_MAX = 64
/** A PUBLISH payload is larger: acknowledged, dropped, counted, and told on the device's errors topic. */
export const PAYLOAD_BYTES_MAX = 256 * KiB

// --- schemas

/** A batch holds more readings: dead-lettered as `too-many-readings`. */
export const READINGS_PER_MESSAGE_MAX = 10_000
/** A reading's time is earlier: dead-lettered as `bad-timestamp`. No telemetry of ours is older than this. */
export const READING_TIME_MIN_MS = Date.UTC(2000, 0, 1)
/** A reading's time is further ahead of its arrival: dead-lettered as `bad-timestamp`. */
export const READING_AHEAD_MAX_MS = 24 * 3600 * 1000

// --- log

/** Bytes waiting for the next group commit; when full, append refuses with `log-busy` and the device is not acknowledged. */
export const LOG_PENDING_BYTES_MAX = 64 * MiB
/** One group commit is written when it reaches this size, even if more is waiting. */
export const LOG_COMMIT_BYTES_MAX = 4 * MiB
/** One read returns at most this many payload bytes (always at least one entry). */
export const LOG_READ_BYTES_MAX = 1 * MiB
/** One read returns at most this many entries. */
export const LOG_READ_ENTRIES_MAX = 5_000

assert(PAYLOAD_BYTES_MAX < LOG_READ_BYTES_MAX, 'a read must be able to hold the largest payload')
assert(PAYLOAD_BYTES_MAX < LOG_COMMIT_BYTES_MAX, 'a commit must be able to hold the largest payload')
assert(LOG_COMMIT_BYTES_MAX < LOG_PENDING_BYTES_MAX, 'a commit in flight must leave room for the next to fill')
