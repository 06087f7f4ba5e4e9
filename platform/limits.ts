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
/** A signal so soon after the first is not the second one, at which the process ends at once. */
export const SIGNAL_ECHO_MS = 100

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
/** A tag's value is longer: dead-lettered as `invalid-reading`. It names a series and is repeated in every point of it. */
export const TAG_CHARS_MAX = 256
/** A schema becomes more columns: it is refused at the start. */
export const SCHEMA_COLUMNS_MAX = 512
/** A schema nests records deeper: it is refused at the start. */
export const SCHEMA_DEPTH_MAX = 8
/** What a reason quotes of a payload is cut to so many characters: a reason travels to the device and to the dead letters. */
export const QUOTE_CHARS_MAX = 64
/** Fields of one payload that are shown to a person who looks at it. */
export const INSPECT_FIELDS_MAX = 1_000
/** Levels of a JSON payload that are shown to such a person; what lies deeper is left out, and said to be. */
export const SHOWN_LEVELS_MAX = 32

// --- identity

/** A token is longer: refused before it is parsed. */
export const TOKEN_CHARS_MAX = 8_192
/** An app token names at most so many topic filters. */
export const APP_FILTERS_MAX = 32

// --- broker

/** A topic beyond these is worked out at each message instead of remembered. */
export const SESSION_TOPICS_MAX = 16
/** MQTT clients at once, over all listeners; one more is closed at once. */
export const CONNECTIONS_MAX = 20_000
/** Their share of the files that the process may have open, where that is less; the rest is for apps, log and store. */
export const CONNECTIONS_FILES_RATIO = 0.75
/** Connections taken in one second, over all listeners; one more is closed at once. */
export const CONNECTS_PER_SECOND_MAX = 3_000
/** Connections from one address, and of one client id: `burst` begin at once, then `perSecond`; `waitingMax` wait for that. */
export const CONNECTS_PER_ADDRESS = { burst: 100, perSecond: 500, waitingMax: 1_900 }
export const CONNECTS_PER_CLIENT = { burst: 50, perSecond: 100, waitingMax: 500 }
/** Those that wait for their address, of all; one more is closed at once. */
export const CONNECTS_WAITING_MAX = 4_000
/** A connection that ends without a CONNACK counts once more for so many bytes it sent. */
export const CONNECT_GARBAGE_BYTES = 16 * KiB
/** Devices whose rate is remembered; for one more, that of the one that connected longest ago is forgotten. */
export const RATES_MAX = 2 * CONNECTIONS_MAX
/** A connection that has not sent its CONNECT by then is closed. */
export const CONNECT_TIMEOUT_MS = 10_000
/** Silence on a TCP connection after which the peer is asked whether it is there. */
export const TCP_KEEPALIVE_MS = 60_000
/** Connections at once that have no CONNACK yet, or half of all; for one more, the one that has waited longest is closed. */
export const UNCONNECTED_MAX = 4_000
/** A client id is longer: the connection is refused with return code 2. The contract's are at most 64. */
export const CLIENT_ID_CHARS_MAX = 1_024
/** A CONNECT is larger: the connection is closed. Holds a token, a will and a user name. */
export const CONNECT_BYTES_MAX = 64 * KiB
/** A later packet is larger: the connection is closed; a PUBLISH is acknowledged, dropped and told. */
export const FRAME_BYTES_MAX = 1 * MiB
/** Bytes of packets that are not whole yet, of all clients; at more, whose was begun longest ago is closed. */
export const UNFINISHED_BYTES_MAX = 128 * MiB
/** Less of an unfinished packet came between two looks: the connection is closed. */
export const UNFINISHED_PROGRESS_BYTES_MIN = 4 * KiB
/** A SUBSCRIBE or UNSUBSCRIBE names more topic filters: the connection is closed. */
export const FILTERS_PER_PACKET_MAX = 2_000
/** How long reading from one client may take before others have their turn, about; its bytes per turn follow from it. */
export const TURN_MS = 0.25
/** Bytes per turn of a client that has just connected, at least and at most. */
export const TURN_BYTES_FIRST = 2 * KiB
export const TURN_BYTES_MIN = 128
export const TURN_BYTES_MAX = 16 * KiB
/** The part of the broker's time that one client may take while others are connected. */
export const ALLOWANCE_SHARE = 1 / 8
/** Of that time, what a client may take at once when it has just connected, and when it has been quiet. */
export const ALLOWANCE_FIRST_MS = 2
export const ALLOWANCE_MS = 40
/** What a packet costs behind the broker, in the log, in decoding and in the store, about; and how many bytes cost a millisecond. */
export const ALLOWANCE_PACKET_MS = 0.01
export const ALLOWANCE_BYTES_PER_MS = 8 * KiB
/** How long turns are taken one after the other before those go first that have just sent something. */
export const TURNS_MS = 0.5
/** Packets that a client may send before its CONNACK; one more closes the connection. */
export const EARLY_PACKETS_MAX = 1_000
/** A subscriber whose socket took nothing for so long is disconnected; a session that is not clean keeps its messages. */
export const SUBSCRIBER_DRAIN_MS = 5_000
/** Bytes that wait for one client beyond its socket's buffers; one message more, and it is disconnected. */
export const OUTBOUND_BYTES_MAX = 4 * MiB
/** Such bytes of all clients; at more, those with the most are disconnected, at the next look. */
export const OUTBOUND_BYTES_TOTAL_MAX = 256 * MiB
/** Bytes that one client has not read yet, at which nothing is read from it: it must not grow a heap of acknowledgements. */
export const UNREAD_ANSWERS_BYTES_MAX = 256 * KiB
/** Messages of QoS > 0 kept for one session that is not clean, unsent and unacknowledged; more are dropped and counted. */
export const SESSION_QUEUE_MESSAGES_MAX = 1_000
/** Payload bytes of those; more are dropped and counted. */
export const SESSION_QUEUE_BYTES_MAX = 1 * MiB
/** Sessions that are not clean; for one more, the one that has been away longest is forgotten and counted. */
export const SESSIONS_KEPT_MAX = 20_000
/** What is kept of them: ids, filters, messages; for more, likewise. */
export const SESSIONS_KEPT_BYTES_MAX = 256 * MiB
/** Subscriptions of one client; one more is refused. */
export const SUBSCRIPTIONS_PER_CLIENT_MAX = 1_000
/** What is kept for subscriptions, of one client and of all that are connected; one more is refused. */
export const SUBSCRIPTION_BYTES_PER_CLIENT_MAX = 2 * MiB
export const SUBSCRIPTION_BYTES_MAX = 256 * MiB
/** What a subscription costs beside its filter, about. */
export const SUBSCRIPTION_BYTES = 1 * KiB
/** Messages of QoS > 0 that a clean session was sent and has not acknowledged; one more, and it is disconnected. */
export const UNACKNOWLEDGED_MAX = 32_000
/** Retained messages; one more topic is delivered and not kept. */
export const RETAINED_MESSAGES_MAX = 100_000
/** Bytes of their topics and payloads; what would make it more is delivered and not kept. */
export const RETAINED_BYTES_MAX = 256 * MiB
/** Retained messages that a SUBSCRIBE is matched against before others have their turn. */
export const RETAINED_SCAN_MESSAGES = 500
/** Messages of one client that wait to be durable; at so many its socket is not read, until one is. */
export const HELD_MESSAGES_PER_CLIENT_MAX = 1_000
/** Bytes of those messages. */
export const HELD_BYTES_PER_CLIENT_MAX = 512 * KiB
/** Bytes of the waiting messages of all clients; at so many no socket is read, until one is durable. */
export const HELD_BYTES_MAX = 48 * MiB
/** What a waiting message costs beside its payload, about. */
export const HELD_MESSAGE_BYTES = 256
/** QoS 2 messages of one client that await their PUBREL; one more closes the connection. */
export const QOS2_INFLIGHT_MAX = 1_000
/** Deliveries that Aedes has under way at once. */
export const BROKER_DELIVERIES_MAX = 1_000
/** Reports on one device's errors topic in one second; further ones are counted only. */
export const REPORTS_PER_DEVICE_PER_SECOND_MAX = 200
/** Log lines about clients that were turned away; further ones are counted in the next line. */
export const REFUSAL_LINES_PER_SECOND_MAX = 20
/** Characters of such a line's message, and of its client id. */
export const REFUSAL_CHARS_MAX = 500
/** How often connections are looked over for expired tokens, for what is unread, and for packets that are stuck half-way. */
export const TOKEN_SWEEP_MS = 1_000
export const UNREAD_SWEEP_MS = 250
export const STUCK_SWEEP_MS = 30_000

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
/** One read returns at most this many payload bytes (always at least one entry). */
export const LOG_READ_BYTES_MAX = 1 * MiB
/** One read returns at most this many entries. */
export const LOG_READ_ENTRIES_MAX = 5_000
/** How long a start looks for damaged pages; what was not looked at by then is found when it is read. */
export const LOG_CHECK_MS = 1_000
/** How often another process's appends are looked for, and dead letters too. */
export const LOG_POLL_MS = 20
/** How often retention runs. */
export const RETENTION_INTERVAL_MS = 5_000
/** One retention pass removes at most so many commits, and about so many bytes of them; the next pass goes on. */
export const RETENTION_RUNS_MAX = 10_000
export const RETENTION_BYTES_MAX = 64 * MiB
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
/** Down to this, dead letters are written on a full disk; further only if pages are free within the file. */
export const LOG_ROOM_BYTES_LETTERS = 3 * MiB
/** What neither entries nor dead letters use up: for the checkpoint, presence, and for removing what may go. */
export const LOG_ROOM_BYTES_LAST = 1 * MiB
/** What the log leaves of its disk to the embedded store and to others: the lesser of so many bytes and of its share. */
export const DISK_RESERVE_BYTES = 256 * MiB
export const DISK_RESERVE_RATIO = 0.05
/** While the log is full, the record of a device's presence (status and will) may grow by so much. */
export const PRESENCE_GROWTH_BYTES_MAX = 1 * KiB
/** Dead letters kept; at one more, the oldest goes and is counted as expired. */
export const DEAD_LETTERS_MAX = 1_000_000
/** Bytes of dead letters kept, unless `TELLTALE_DEAD_LETTERS_MAX_BYTES` says otherwise; when more, the oldest go likewise. */
export const DEAD_LETTERS_BYTES_MAX = 1024 * MiB
/** What a dead letter is counted as beside its payload, names and reason: keys of its record, and the page it is on. */
export const DEAD_LETTER_OVERHEAD_BYTES = 256
/** Dead letters that a follower reads at a time. */
export const DEAD_LETTERS_PER_READ_MAX = 100
/** How often expired dead letters are told in the process's log, at most. */
export const EXPIRED_LOG_INTERVAL_MS = 60_000
/** Dead letters that one transaction of a replay or a purge looks at; then comes the next, and others in between. */
export const DEAD_LETTER_LOOKS_MAX = 1_000
/** Sequences that one replay or purge names; more are refused. */
export const DEAD_LETTER_SEQUENCES_MAX = 1_000
/** Requests to replay that wait for the process that appends; one more is refused. */
export const REPLAY_REQUESTS_MAX = 64
/** How often that process looks for requests, and the asking one for their end. */
export const REPLAY_POLL_MS = 100
/** A command that asked for a replay carries it out itself when no process that appends has begun by then. */
export const REPLAY_TAKEOVER_MS = 1_000
/** Whoever asked for a replay is told to look later when it has not moved on for so long. */
export const REPLAY_PATIENCE_MS = 10_000
/** Questions for the books of a device that wait while one is answered; one more is refused. */
export const DEVICE_LEDGERS_WAITING_MAX = 64

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
/** All devices have to be connected by then, on top of the time their spread starts take; else the run fails. */
export const SIMULATOR_CONNECT_DEADLINE_MS = 15_000
/** The pause before the first reconnect, with up to as much again by chance; a failure doubles it, up to the second value. */
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
assert(LOG_LOW_WATER_RATIO < LOG_RESUME_RATIO, 'retention must get below where a full log takes again')
assert(LOG_COMMIT_BYTES_MAX < LOG_ROOM_BYTES - LOG_ROOM_BYTES_MIN, 'the room ahead must hold the next commits')
assert(HELD_BYTES_MAX < LOG_PENDING_BYTES_MAX, 'the broker must stop reading before the log refuses')
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
/** Bytes of one frame from an app above which the connection is cut without a close code of ours. */
export const LIVE_COMMAND_BYTES_CUT = 64 * KiB
/** Error frames sent to one socket; at one more it is closed with 4503. */
export const LIVE_ERRORS_PER_SOCKET_MAX = 100
/** Characters of a readings frame; it is split there. A single reading may be larger. */
export const LIVE_FRAME_CHARS_MAX = 64 * KiB
/** Bytes that wait for one socket beyond the kernel's buffers; at more, a frame is dropped and the socket closed with 4408. */
export const LIVE_BACKPRESSURE_BYTES_MAX = 1 * MiB
/** Bytes that wait for one socket at which sending its snapshot pauses until they have drained. */
export const LIVE_SNAPSHOT_PAUSE_BYTES = 256 * KiB
/** Frames of a snapshot sent before other work gets its turn. */
export const LIVE_SNAPSHOT_FRAMES_PER_TURN = 4
/** Times a snapshot is brought up to date for an app that takes it too slowly; then the socket is closed with 4408. */
export const LIVE_SNAPSHOT_ROUNDS_MAX = 20
/** How often an app is pinged: proxies end what is quiet for a minute (nginx's `proxy_read_timeout`). */
export const LIVE_PING_MS = 25_000
/** Pings in a row without a word from an app, pongs included, after which its connection is cut. */
export const LIVE_PINGS_UNANSWERED_MAX = 4
/** How often sockets are looked over for expired tokens and for slow ones that never drained. */
export const LIVE_SWEEP_MS = 1_000
/** How long a socket that lost a frame may take to drain and be told so (4408), before it is cut. */
export const LIVE_SLOW_CLOSE_MS = 10_000

/** Bytes of a request's head, a token in it; a larger one is refused with 431, and the connection closed. */
export const HTTP_HEAD_BYTES_MAX = 16 * KiB
/** How long a peer may take over a request, keep a connection without one, or not read an answer; then it is cut. */
export const HTTP_IDLE_SECONDS_MAX = 10
/** How often requests that take too long are looked for. */
export const HTTP_CHECK_MS = 2_000

/** Series and devices in the table of last readings; the device unheard of for longest is dropped and counted. */
export const LATEST_SERIES_MAX = 500_000
/** Bytes in the table of last readings, estimated; the device unheard of for longest is dropped and counted. */
export const LATEST_BYTES_MAX = 256 * MiB
/** Series of one device in the table; its oldest one is dropped and counted. */
export const LATEST_SERIES_PER_DEVICE_MAX = 1_000
/** Series asked of the store to fill the table at start. */
export const LATEST_SEED_MAX = 100_000
/** How long after a failed attempt the store is asked again to fill the table. */
export const LATEST_SEED_RETRY_MS = 5_000
/** How long a start waits for the log's tail and the store to fill the table; the rest comes later, or is missing. */
export const LATEST_WARM_UP_MS_MAX = 3_000
/** Payload bytes that the tail handles before other work gets its turn; at least one entry. */
export const TAIL_BYTES_PER_TURN = 64 * KiB
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
/** Tokens found good that are remembered; the oldest is forgotten, and looked at again when it is shown. */
export const TOKENS_KNOWN_MAX = 10_000
/** Filters in one request. */
export const REQUEST_FILTERS_MAX = 20
/** Devices of one answer unless `limit` says otherwise, and at most. */
export const DEVICES_LIMIT_DEFAULT = 1_000
export const DEVICES_LIMIT_MAX = 10_000
/** How long a stop waits for answers under way and for close frames to leave. */
export const GATEWAY_DRAIN_MS = 3_000

assert(LIVE_COMMAND_BYTES_MAX < LIVE_COMMAND_BYTES_CUT, 'an oversized frame must arrive for its sender to be told')
assert(LIVE_SNAPSHOT_PAUSE_BYTES < LIVE_BACKPRESSURE_BYTES_MAX / 2, 'a snapshot must leave room for live frames')
assert(TOKEN_CHARS_MAX < HTTP_HEAD_BYTES_MAX, 'every token must fit in a head')
assert(LATEST_SERIES_PER_DEVICE_MAX < LATEST_SERIES_MAX / 10, 'no device may crowd out the others')
assert(LATEST_WARM_UP_MS_MAX + GATEWAY_DRAIN_MS < STOP_DEADLINE_MS, 'a stop during a start must end in time')

// --- ingest

/** Entries handed to one worker at a time; more wait for the next write. 5,000 lines is InfluxDB's documented optimum. */
export const INGEST_ENTRIES_PER_WRITE_MAX = 5_000
/** Bytes of entries handed out as one group (always at least one batch of the log). */
export const INGEST_GROUP_BYTES_MAX = 2 * MiB
/** Groups that were read from the log and are not yet stored; at so many, reading the log waits. */
export const INGEST_GROUPS_MAX = 4
/** Groups at one worker: one is written while the next is decoded. Of two, so that order is kept, one waits. */
export const INGEST_GROUPS_PER_WORKER_MAX = 2
/** Under a steady trickle a write starts so long after the one before, unless a full group is waiting. */
export const INGEST_WRITE_INTERVAL_MS = 25
/** Workers that died within the window below; at one more, ingest ends with an error. */
export const INGEST_WORKER_DEATHS_MAX = 5
export const INGEST_WORKER_DEATHS_WINDOW_MS = 60_000
/** How long a stop waits for groups being written; what is not done then is written again after the next start. */
export const INGEST_DRAIN_MS = 5_000
/** How long a stop waits after that for the threads to close their store, before they are ended. */
export const INGEST_CLOSE_MS = 2_000
/** History questions at the worker that owns the embedded store; one more is refused. */
export const INGEST_HISTORY_REQUESTS_MAX = 64
/** How long a start waits for a worker: its schemas and store. */
export const INGEST_WORKER_START_MS = 30_000

/** Wait before the first retry of a write; doubles up to the next limit; jittered down to a half. */
export const STORE_RETRY_FIRST_MS = 200
export const STORE_RETRY_MS_MAX = 30_000
/** Pace of retries that a person must end (credentials, bucket). */
export const STORE_RETRY_SLOWLY_MS = 15_000
/** A longer `Retry-After` is cut to this. */
export const STORE_RETRY_AFTER_MS_MAX = 300_000
/** A store's trouble of the same code is told anew so long after the last line, if its words have changed. */
export const STORE_TROUBLE_LINE_MS = 30_000
/** Characters of a store's reason that are kept. */
export const STORE_REASON_CHARS_MAX = 500

/** Lines of one request to InfluxDB; a batch with more is several requests. */
export const INFLUX_LINES_PER_REQUEST_MAX = 5_000
/** A request without an answer is aborted after so long. */
export const INFLUX_REQUEST_MS_MAX = 30_000
/** A body larger than this is compressed. */
export const INFLUX_GZIP_BYTES_MIN = 8 * KiB
/** Bytes of an answer to a history query; a larger one is an error that asks for a narrower query. */
export const INFLUX_ANSWER_BYTES_MAX = 128 * MiB
/** Bytes of the body of an error; a larger one is not read on, and the attempt has failed. A 400 may quote every line of its request. */
export const INFLUX_ERROR_BYTES_MAX = 16 * MiB

/** Memory that DuckDB may take for its buffers and queries; beyond it, it spills to disk or the query fails. */
export const DUCKDB_MEMORY_BYTES_MAX = 512 * MiB
/** Threads of DuckDB's own. */
export const DUCKDB_THREADS_MAX = 2
/** Size of DuckDB's write-ahead log at which it is moved into the database file. */
export const DUCKDB_WAL_BYTES_MAX = 16 * MiB
/** Series whose newest time the writer remembers; one more, and it forgets the oldest known, whose next row costs a look. */
export const DUCKDB_SERIES_MAX = 200_000

assert(LOG_READ_ENTRIES_MAX <= INGEST_ENTRIES_PER_WRITE_MAX, 'a batch of the log must fit one group')
assert(INGEST_DRAIN_MS + INGEST_CLOSE_MS < STOP_DEADLINE_MS, 'ingest must be able to drain within a stop')
