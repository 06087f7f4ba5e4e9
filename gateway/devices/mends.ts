/** Owns what mends each cause, and each code of a refusal, a drop or a dead letter: what a person does next. */

import { isForeign, NOT_TOLD, SPARKPLUG } from '../../schemas/content-type.ts'

const BY_CAUSE = {
  'never-connected':
    "look whether the device is on and reaches the broker's address and port, and whether its id is spelt like this; for its token: `telltale token device <id>`",
  'broker-down': 'start the platform: `telltale up`',
  'two-devices':
    'give each device an id and a token of its own; one that connects twice has to end its old connection first',
  'log-full': 'make room on the disk, or raise TELLTALE_LOG_MAX_BYTES; devices send again what was not taken',
  'store-away': 'bring the store back: what waits is stored by itself then, in order',
  'ingest-down': 'start ingest again: `telltale up`, or `telltale up --roles ingest`',
  late: 'look at the store: its load, its disk, TELLTALE_INGEST_WORKERS; what waits is stored by itself',
  'sends-nothing': 'look at its sensor and its program, and whether it publishes on devices/<id>/telemetry/<stream>',
  silent: 'look at the device: it is connected, so the network is well, and its program or its sensor is not',
  'missing-stream':
    'look at the device: the sensor, or the part of its program, that should send it; if it is not to, take the stream out of its file in config/devices',
  offline: 'look whether it has power and a network; it connects again by itself, and sends what it kept',
  'clock-ahead':
    "set the device's clock (NTP); until then look for its readings at the later times: GET /v1/readings ends now, unless `to=` says later",
  'clock-behind':
    "set the device's clock (NTP); until then look for its readings at the earlier times: GET /v1/readings begins an hour ago, unless `from=` says earlier",
  'repeats-times': 'give each reading a time of its own: with a finer clock, or one reading a time and place',
  'too-fast':
    'let the device send less, or raise TELLTALE_DEVICE_MESSAGES_PER_SECOND or TELLTALE_DEVICE_BYTES_PER_SECOND',
} as const

const NEW_TOKEN = 'put a new token on the device as its password: `telltale token device <id>` prints one'

const BY_CODE: Readonly<Record<string, string>> = {
  'bad-token': `the token is another's, or was not copied whole; with the device id as user name, ${NEW_TOKEN}`,
  'bad-password': 'put the password on the device that is in config/devices for its user, or make a new one there',
  'expired-token': NEW_TOKEN,
  'revoked-token': `if the device may come back, ${NEW_TOKEN}`,
  'wrong-client-id': 'set the client id on the device to the device id, letter by letter',
  'wrong-will': 'set the topic of the will to devices/<id>/status, or leave the will out',
  'wrong-certificate': 'give the device a certificate whose common name is its device id',
  'expired-certificate': 'give the device a new certificate',
  'revoked-certificate': 'give the device a new certificate, if it may come back',
  'too-many-connects': 'the device connects in a loop: look why it does, and let it wait longer from try to try',
  'too-many-connections': 'raise the limit of open files (ulimit -n) where the platform runs, or disconnect others',
  'sent-by-another': 'give that sender the token of this device, or have it publish on topics of its own',
  'used-by-another':
    'look whether this device is on and reaches the broker, and give the other one a token of its own: `telltale token device <its id>`',
  'publish-forbidden':
    'have it publish on devices/<id>/telemetry/<stream>, or write a map for its topic (docs/maps.md)',
  'payload-too-large': 'have it send fewer readings in each message',
  empty: 'the device publishes without a payload: let it send a reading',
  'unknown-framing':
    'let it send Avro with the schema\'s fingerprint, JSON, or what its topic\'s last level names (docs/contract.md, "Payloads")',
  'unknown-schema':
    'register the schema (a file in schemas/<stream>/, or POST /v1/schemas), or let it publish on a stream that is there; what was set aside is put through again by itself then',
  'unknown-metric':
    'let its edge node name each metric, with its datatype, in NBIRTH or DBIRTH on each connection; it is asked for a rebirth by NCMD',
  'no-map': 'write a map for its topic: `telltale map propose` prints one',
  'wrong-stream': 'let it publish on the topic of the stream that its schema is of',
  'invalid-reading': 'let it send what the schema says, or register a version that says what it sends',
  'too-many-readings': 'send fewer readings a message',
  'bad-timestamp':
    "set the device's clock, and look at the unit of its time: milliseconds or microseconds as the schema says",
  'store-rejected':
    'the store refuses these values, for an earlier one was of another type: look at the reason, mend the column, then `telltale deadletters replay`',
  'log-damaged': 'the disk gave back other bytes than were written: look at it, and at `telltale deadletters show`',
  'keep-alive': 'look at its network: it went without a word; it connects again by itself',
  'stream-stopped':
    'look at the sensor, or the part of the program, that sends it; if it is not to come any more, take it out of its file in config/devices (of one that is in no file this is told for a day)',
  'not-born':
    'look at the device and how it is wired to its edge node, or at the edge node: it is back when the edge node publishes its DBIRTH',
  'edge-node-gone':
    'look at the edge node, not at the device: whether it has power and a network; its devices are back with the births that it publishes then',
  lost: 'look at its network, or whether it was switched off; it connects again by itself, and sends what it kept',
  left: 'the device ended its connection itself: look at its program, if it should be connected',
  stopped: 'the platform was stopped: the device connects again by itself when it is back',
  'broker-gone':
    'start that broker again: `telltale up --roles broker`; the device connects again by itself, to another one if it knows one',
  'taken-for-gone':
    'look why that broker stood still, or was cut off from the log, for ten seconds; the device connects again by itself',
  'taken-over': 'another connection with its id took its place: look whether two devices have it',
  'slow-client': 'the device does not read what is sent to it: look at its program and its network',
  'protocol-error': 'the device sends what is no MQTT: look at its client library and its version',
}

/** Of a value on a foreign topic there is no schema to register a version of. */
const INVALID_BY_MAP =
  'let it send what the map of its topic says, or change the map (docs/maps.md, `telltale map try`); then `telltale deadletters replay`'
const INVALID_BY_SPARKPLUG =
  'let the edge node send values of the type that its birth gives the metric (`telltale deadletters show`), or give the topic a map (docs/sparkplug.md)'

export type Mendable = keyof typeof BY_CAUSE

export const mendOf = (cause: Mendable): string => BY_CAUSE[cause]

/** Codes of malformed payloads are many, and mended alike. `framing`: of a dead letter. */
export const mendOfCode = (code: string, framing = NOT_TOLD): string => wordsOf(code, framing) ?? BY_CAUSE.offline

/** Of a dead letter; undefined if there are no words for it. */
export const mendOfLetter = wordsOf

function wordsOf(code: string, framing = NOT_TOLD): string | undefined {
  if (code === 'invalid-reading' && isForeign(framing))
    return framing === SPARKPLUG ? INVALID_BY_SPARKPLUG : INVALID_BY_MAP
  const mend = Object.hasOwn(BY_CODE, code) ? BY_CODE[code] : undefined
  if (mend !== undefined) return mend
  if (code.startsWith('malformed-'))
    return `look at what it sends (\`telltale deadletters show\`), and at its ${code.slice('malformed-'.length)} library`
  return undefined
}
