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

// --- identity

/** A token is longer: refused before it is parsed. */
export const TOKEN_CHARS_MAX = 8_192
/** An app token names at most so many topic filters. */
export const APP_FILTERS_MAX = 32

// --- log

/** Bytes waiting for the next group commit; when full, append refuses with `log-busy` and the device is not acknowledged. */
export const LOG_PENDING_BYTES_MAX = 64 * MiB
/** One group commit is written when it reaches this size, even if more is waiting. */
export const LOG_COMMIT_BYTES_MAX = 1 * MiB
/** One read returns at most this many payload bytes (always at least one entry). */
export const LOG_READ_BYTES_MAX = 1 * MiB
/** One read returns at most this many entries. */
export const LOG_READ_ENTRIES_MAX = 5_000
/** How often another process's appends are looked for, and dead letters too. */
export const LOG_POLL_MS = 20
/** How often retention runs. */
export const RETENTION_INTERVAL_MS = 5_000
/** One retention pass removes at most so many commits; the next pass goes on. */
export const RETENTION_RUNS_MAX = 10_000
/** Retention by size starts at this share of the log's size: stored entries go before new ones are refused. */
export const LOG_LOW_WATER_RATIO = 0.9

// --- devices/simulator

/** More devices asked of one simulator: refused as a wrong option. */
export const SIMULATOR_DEVICES_MAX = 20_000
/** More messages a second asked of one device: refused as a wrong option. */
export const SIMULATOR_RATE_MAX = 10_000
/** Unacknowledged messages of one simulated device; when full, its next message waits. */
export const SIMULATOR_IN_FLIGHT_MAX = 64
/** Simulated devices between CONNECT and CONNACK; when full, the next device waits. */
export const SIMULATOR_CONNECTING_MAX = 50
/** Connections a second that a simulator opens at its start. */
export const SIMULATOR_CONNECTS_PER_SECOND_MAX = 500
/** No CONNACK within this time: the attempt has failed and is repeated. */
export const SIMULATOR_CONNACK_MS = 10_000
/** A device that is not connected by then holds up the start no longer; with none connected the run fails. */
export const SIMULATOR_CONNECT_DEADLINE_MS = 15_000
/** The first pause before a reconnect; each failure doubles it, up to the second value. */
export const SIMULATOR_BACKOFF_MIN_MS = 100
export const SIMULATOR_BACKOFF_MAX_MS = 5_000
/** How long the end of a run waits for outstanding acknowledgements; what is missing then is reported as such. */
export const SIMULATOR_DRAIN_MS = 10_000
/** How long a clean disconnect may take before the socket is destroyed. */
export const SIMULATOR_CLOSE_MS = 2_000
/** Distinct codes counted from the errors topics; further ones are counted as `other`. */
export const SIMULATOR_ERROR_CODES_MAX = 32

assert(PAYLOAD_BYTES_MAX < LOG_READ_BYTES_MAX, 'a read must be able to hold the largest payload')
assert(PAYLOAD_BYTES_MAX < LOG_COMMIT_BYTES_MAX, 'a commit must be able to hold the largest payload')
assert(LOG_COMMIT_BYTES_MAX < LOG_PENDING_BYTES_MAX, 'a commit in flight must leave room for the next to fill')

// --- gateway

/** Sockets of `/v1/live`; one more is refused with 503 before the upgrade. */
export const LIVE_SOCKETS_MAX = 20_000
/** Subscriptions of one socket; one more is answered by an error frame. */
export const LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX = 100
/** Distinct subscriptions of all sockets; one more is answered by an error frame that says to try again. */
export const LIVE_GROUPS_MAX = 10_000
/** Fields named in one subscription; more is a bad command. */
export const LIVE_FIELDS_MAX = 100
/** Characters of the `id` of a command; a longer one is a bad command. */
export const LIVE_COMMAND_ID_CHARS_MAX = 64
/** Bytes of one frame from an app; a larger one closes the socket with 4502. */
export const LIVE_COMMAND_BYTES_MAX = 16 * KiB
/** Bytes of one frame from an app above which the connection is cut without a close code. */
export const LIVE_COMMAND_BYTES_CUT = 64 * KiB
/** Error frames sent to one socket; at one more it is closed with 4503. */
export const LIVE_ERRORS_PER_SOCKET_MAX = 100
/** Characters of a readings frame; it is split there. A single reading may be larger. */
export const LIVE_FRAME_CHARS_MAX = 64 * KiB
/** Bytes that wait for one socket beyond the kernel's buffers; at more, a frame is dropped and the socket closed with 4408. */
export const LIVE_BACKPRESSURE_BYTES_MAX = 4 * MiB
/** Bytes that wait for one socket at which sending its snapshot pauses until they have drained. */
export const LIVE_SNAPSHOT_PAUSE_BYTES = 1 * MiB
/** Frames of a snapshot sent before other work gets its turn. */
export const LIVE_SNAPSHOT_FRAMES_PER_TURN = 4
/** Times a snapshot is brought up to date for an app that takes it too slowly; then the socket is closed with 4408. */
export const LIVE_SNAPSHOT_ROUNDS_MAX = 20
/** Seconds without a word from an app, pings and pongs included, after which its connection is cut. uWS takes 8 to 960. */
export const LIVE_IDLE_SECONDS_MAX = 120
/** How often sockets are looked over for expired tokens and for slow ones that never drained. */
export const LIVE_SWEEP_MS = 1_000
/** How long a socket that lost a frame may take to drain and be told so (4408), before it is cut. */
export const LIVE_SLOW_CLOSE_MS = 10_000

/** Series and devices in the table of last readings; the device unheard of for longest is dropped and counted. */
export const LATEST_SERIES_MAX = 500_000
/** Bytes in the table of last readings, estimated; the device unheard of for longest is dropped and counted. */
export const LATEST_BYTES_MAX = 256 * MiB
/** Series of one device in the table; its oldest one is dropped and counted. */
export const LATEST_SERIES_PER_DEVICE_MAX = 1_000
/** A payload kept undecoded in the table; a larger one is decoded at once and only its last reading kept. */
export const LATEST_RAW_BYTES_MAX = 2 * KiB
/** Series asked of the store to fill the table at start. */
export const LATEST_SEED_MAX = 100_000
/** How long after a failed attempt the store is asked again to fill the table. */
export const LATEST_SEED_RETRY_MS = 5_000
/** How long a start waits for the log's tail and the store to fill the table; the rest comes later, or is missing. */
export const LATEST_WARM_UP_MS_MAX = 3_000
/** How long the tail waits after the log failed before it reads on. */
export const TAIL_RETRY_MS = 1_000

/** Readings of one answer of history unless `limit` says otherwise, and at most. */
export const HISTORY_LIMIT_DEFAULT = 10_000
export const HISTORY_LIMIT_MAX = 100_000
/** History queries at once; one more is refused with 503. */
export const HISTORY_QUERIES_MAX = 8
/** How long an app waits for history; then 503, though the query holds its place until the store is done. */
export const HISTORY_QUERY_MS_MAX = 30_000
/** Windows in one aggregate query, so that `every=1ms` over a year is refused. */
export const HISTORY_WINDOWS_MAX = 1_000_000
/** Readings written to an answer before other work gets its turn. */
export const HISTORY_READINGS_PER_TURN = 1_000
/** Filters in one request. */
export const REQUEST_FILTERS_MAX = 20
/** Devices of one answer unless `limit` says otherwise, and at most. */
export const DEVICES_LIMIT_DEFAULT = 1_000
export const DEVICES_LIMIT_MAX = 10_000
/** How long a stop waits for answers under way and for close frames to leave. */
export const GATEWAY_DRAIN_MS = 3_000

assert(LIVE_COMMAND_BYTES_MAX < LIVE_COMMAND_BYTES_CUT, 'an oversized frame must arrive for its sender to be told')
assert(LIVE_SNAPSHOT_PAUSE_BYTES < LIVE_BACKPRESSURE_BYTES_MAX / 2, 'a snapshot must leave room for live frames')
assert(LATEST_SERIES_PER_DEVICE_MAX < LATEST_SERIES_MAX / 10, 'no device may crowd out the others')
assert(LATEST_WARM_UP_MS_MAX + GATEWAY_DRAIN_MS < STOP_DEADLINE_MS, 'a stop during a start must end in time')
