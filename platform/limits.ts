/**
 * Owns the bounds that several files share, or that depend on each other: these are asserted, so that a wrong edit stops the
 * start. A bound of one file stands on top of that file. A name ends with its unit and `_MAX`, `_MIN` or the like; the comment
 * says what happens when it is reached.
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
/** A foreign topic is longer: no map is for it. It is kept with each of its messages. */
export const MAPPED_TOPIC_BYTES_MAX = 512
/** A PUBLISH payload is larger: acknowledged, dropped, counted, and told on the device's errors topic. */
export const PAYLOAD_BYTES_MAX = 256 * KiB

// --- schemas

/** A reading's time is earlier, unless `TELLTALE_READING_TIME_MIN` says otherwise: dead-lettered as `bad-timestamp`. Clocks without a battery begin in 2000 or so. */
export const READING_TIME_MIN_MS = Date.UTC(2015, 0, 1)
/** A batch holds more readings: dead-lettered as `too-many-readings`. */
export const READINGS_PER_MESSAGE_MAX = 10_000

// --- identity

/** A token is longer: refused before it is parsed. */
export const TOKEN_CHARS_MAX = 8_192
/** A token is asked to be good for longer: refused. What has been revoked, or retired, for so long no token can need any more. */
export const TOKEN_TTL_MS_MAX = 3650 * 86_400_000

// --- files

/** Shares of the files that this process may open (`ulimit -n`), for what devices and apps connect to; the rest is for its own. */
export const FILES_FOR_CLIENTS_RATIO = 0.75
export const FILES_FOR_APPS_RATIO = 0.15

assert(FILES_FOR_CLIENTS_RATIO + FILES_FOR_APPS_RATIO <= 0.9, 'log, stores and threads must find files to open')

// --- broker

/** MQTT clients at once, over all listeners; one more is refused with return code 3. */
export const CONNECTIONS_MAX = 60_000
/** Connections taken in one second, over all listeners; one more is closed at once. */
export const CONNECTS_PER_SECOND_MAX = 3_000
/** Connections from one address, and of one client id: `burst` begin at once, then `perSecond`; `waitingMax` wait for that. */
export const CONNECTS_PER_ADDRESS = { burst: 100, perSecond: 500, waitingMax: 1_900 }
export const CONNECTS_PER_CLIENT = { burst: 50, perSecond: 100, waitingMax: 500 }
/** Devices whose rate is remembered; for one more, that of the one that connected longest ago is forgotten. */
export const RATES_MAX = 2 * CONNECTIONS_MAX
/** A connection that has not sent its CONNECT by then is closed. */
export const CONNECT_TIMEOUT_MS = 10_000
/** Connections at once that have no CONNACK yet, or half of all; for one more, the one that has waited longest is closed. */
export const UNCONNECTED_MAX = 4_000
/** A client id is longer: the connection is refused with return code 2. The contract's are at most 64. */
export const CLIENT_ID_CHARS_MAX = 1_024
/** A later packet is larger: the connection is closed; a PUBLISH is acknowledged, dropped and told. */
export const FRAME_BYTES_MAX = 1 * MiB
/** Less of an unfinished packet came between two looks: the connection is closed. */
export const UNFINISHED_PROGRESS_BYTES_MIN = 4 * KiB
/** A SUBSCRIBE or UNSUBSCRIBE names more topic filters: the connection is closed. */
export const FILTERS_PER_PACKET_MAX = 2_000
/** Of that time, what a client may take at once when it has just connected, and when it has been quiet. */
export const ALLOWANCE_FIRST_MS = 2
export const ALLOWANCE_MS = 40
/** What a packet costs behind the broker, in the log, in decoding and in the store, about; and how many bytes cost a millisecond. */
export const ALLOWANCE_PACKET_MS = 0.01
export const ALLOWANCE_BYTES_PER_MS = 8 * KiB
/** A subscriber whose socket took nothing for so long is disconnected; a session that is not clean keeps its messages. */
export const SUBSCRIBER_DRAIN_MS = 5_000
/** Bytes that wait for one client beyond its socket's buffers; one message more, and it is disconnected. */
export const OUTBOUND_BYTES_MAX = 4 * MiB
/** Subscriptions of one client; one more is refused. */
export const SUBSCRIPTIONS_PER_CLIENT_MAX = 1_000
/** Bytes of the waiting messages of all clients; at so many no socket is read, until one is durable. */
export const HELD_BYTES_MAX = 48 * MiB

assert(UNCONNECTED_MAX < CONNECTIONS_MAX / 2, 'those that say nothing must not take the places of those that do')
assert(PAYLOAD_BYTES_MAX < FRAME_BYTES_MAX, 'a frame must hold the largest payload and its topic')
assert(PAYLOAD_BYTES_MAX / ALLOWANCE_BYTES_PER_MS < ALLOWANCE_MS, 'the largest payload must come in at once')
assert(
  CONNECTS_PER_ADDRESS.burst + CONNECTS_PER_ADDRESS.waitingMax < CONNECTS_PER_SECOND_MAX,
  'one address must leave others their turn',
)
assert(SUBSCRIPTIONS_PER_CLIENT_MAX < FILTERS_PER_PACKET_MAX, 'one filter too many is refused in the SUBACK')
assert(FRAME_BYTES_MAX < OUTBOUND_BYTES_MAX, 'the largest message must be deliverable')

// --- log

/** Bytes waiting for the next group commit; when full, append refuses with `log-busy` and the device is not acknowledged. */
export const LOG_PENDING_BYTES_MAX = 64 * MiB
/** One group commit is written when it reaches this size, even if more is waiting. */
export const LOG_COMMIT_BYTES_MAX = 1 * MiB
/** Under load a commit waits for more messages, so long at most, unless `TELLTALE_COMMIT_WAIT` says otherwise. */
export const LOG_COMMIT_WAIT_MS_MAX = 2
/** One read returns at most this many payload bytes (always at least one entry). */
export const LOG_READ_BYTES_MAX = 1 * MiB
/** One read returns at most this many entries. */
export const LOG_READ_ENTRIES_MAX = 5_000
/** How often retention runs. */
export const RETENTION_INTERVAL_MS = 5_000
/** Retention by size starts at this share of the log's size: stored entries go before new ones are refused. */
export const LOG_LOW_WATER_RATIO = 0.9
/** Above this share retention does not wait for its time; a log that was full takes again below, so that it does not flutter. */
export const LOG_RESUME_RATIO = 0.95
/** How often a full log looks whether it has room again. */
export const LOG_FULL_INTERVAL_MS = 250
/** Disk space that the log takes ahead of what it writes. */
export const LOG_ROOM_BYTES = 16 * MiB
/** With less of it left and a full disk, new entries are refused; the rest is for checkpoints and dead letters. */
export const LOG_ROOM_BYTES_MIN = 12 * MiB
/** What the log leaves of its disk to the embedded store and to others: the lesser of so many bytes and of its share. */
export const DISK_RESERVE_BYTES = 256 * MiB
export const DISK_RESERVE_RATIO = 0.05
/** Bytes of dead letters kept, unless `TELLTALE_DEAD_LETTERS_MAX_BYTES` says otherwise; when more, the oldest of the device that has most go. */
export const DEAD_LETTERS_BYTES_MAX = 1024 * MiB
/** Dead letters that one transaction of a replay or a purge looks at; then comes the next, and others in between. */
export const DEAD_LETTER_LOOKS_MAX = 1_000
/** Sequences that one replay or purge names; more are refused. */
export const DEAD_LETTER_SEQUENCES_MAX = 1_000
/** Whoever asked for a replay is told to look later when it has not moved on for so long. */
export const REPLAY_PATIENCE_MS = 10_000

assert(PAYLOAD_BYTES_MAX < LOG_READ_BYTES_MAX, 'a read must be able to hold the largest payload')
assert(PAYLOAD_BYTES_MAX < LOG_COMMIT_BYTES_MAX, 'a commit must be able to hold the largest payload')
assert(LOG_LOW_WATER_RATIO < LOG_RESUME_RATIO, 'retention must get below where a full log takes again')
assert(LOG_COMMIT_BYTES_MAX < LOG_ROOM_BYTES - LOG_ROOM_BYTES_MIN, 'the room ahead must hold the next commits')
assert(HELD_BYTES_MAX < LOG_PENDING_BYTES_MAX, 'the broker must stop reading before the log refuses')
assert(LOG_COMMIT_BYTES_MAX < LOG_PENDING_BYTES_MAX, 'a commit in flight must leave room for the next to fill')

// --- gateway

/** Subscriptions of one socket; one more is answered by an error frame. */
export const LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX = 100
/** Distinct subscriptions of all sockets; one more is answered by an error frame that says to try again. */
export const LIVE_GROUPS_MAX = 10_000
/** Fields named in one subscription; more is a bad command. */
export const LIVE_FIELDS_MAX = 100
/** Bytes of one frame from an app; a larger one closes the socket with 4502. */
export const LIVE_COMMAND_BYTES_MAX = 16 * KiB
/** Bytes of one frame from an app above which the connection is cut without a close code of ours. */
export const LIVE_COMMAND_BYTES_CUT = 64 * KiB
/** Characters of a readings frame; it is split there. A single reading may be larger. */
export const LIVE_FRAME_CHARS_MAX = 64 * KiB
/** Bytes that wait for one app beyond the kernel's buffers, at which it leaves the live stream, to be caught up as it takes them. */
export const LIVE_BEHIND_BYTES = 512 * KiB
/** Bytes published to apps after which each is looked at for that. */
export const LIVE_LOOK_BYTES = 128 * KiB
/** Bytes that wait for one app at most, as when one message makes many frames; at more, a frame is dropped and it is closed with 4408. */
export const LIVE_BACKPRESSURE_BYTES_MAX = 8 * MiB
/** Bytes that wait for one app at which sending the past pauses until they have drained. */
export const LIVE_PAST_PAUSE_BYTES = 128 * KiB

/** Bytes of a request's head, a token in it; a larger one is refused with 431, and the connection closed. */
export const HTTP_HEAD_BYTES_MAX = 16 * KiB
/** How long a peer may take over a request, keep a connection without one, or not read an answer; then it is cut. */
export const HTTP_IDLE_SECONDS_MAX = 10

/** Series and devices in the table of last readings; the device unheard of for longest is dropped and counted. */
export const LATEST_SERIES_MAX = 500_000
/** Series of one device in the table; its oldest one is dropped and counted. */
export const LATEST_SERIES_PER_DEVICE_MAX = 1_000
/** How long a start waits for the log's tail and the store to fill the table; the rest comes later, or is missing. */
export const LATEST_WARM_UP_MS_MAX = 3_000

/** How long a stop waits for answers under way and for close frames to leave. */
export const GATEWAY_DRAIN_MS = 3_000

assert(LIVE_COMMAND_BYTES_MAX < LIVE_COMMAND_BYTES_CUT, 'an oversized frame must arrive for its sender to be told')
assert(LIVE_PAST_PAUSE_BYTES < LIVE_BEHIND_BYTES / 2, 'who is sent the past must not be behind when it becomes live')
assert(
  LIVE_BEHIND_BYTES + 2 * LIVE_LOOK_BYTES < LIVE_BACKPRESSURE_BYTES_MAX / 2,
  'who is slow must leave before a frame is lost',
)
assert(TOKEN_CHARS_MAX < HTTP_HEAD_BYTES_MAX, 'every token must fit in a head')
assert(LATEST_SERIES_PER_DEVICE_MAX < LATEST_SERIES_MAX / 10, 'no device may crowd out the others')
assert(LATEST_WARM_UP_MS_MAX + GATEWAY_DRAIN_MS < STOP_DEADLINE_MS, 'a stop during a start must end in time')

// --- ingest

/** How long a stop waits for groups being written; what is not done then is written again after the next start. */
export const INGEST_DRAIN_MS = 5_000
/** How long a stop waits after that for the threads to close their store, before they are ended. */
export const INGEST_CLOSE_MS = 2_000

/** Bytes of an answer to a history query; a larger one is an error that asks for a narrower query. */
export const INFLUX_ANSWER_BYTES_MAX = 128 * MiB

assert(INGEST_DRAIN_MS + INGEST_CLOSE_MS < STOP_DEADLINE_MS, 'ingest must be able to drain within a stop')
