/** Owns what is known to differ: each deviation of ours with its reason, and what was seen of Mosquitto. */

import { SESSION_QUEUE_BYTES_MAX, SESSION_QUEUE_MESSAGES_MAX } from '../../broker/outbound/persistent-sessions.ts'
import { UNACKNOWLEDGED_MAX } from '../../broker/session/in-flight.ts'
import { CLIENT_ID_CHARS_MAX } from '../../platform/limits.ts'

const count = (value: number) => value.toLocaleString('en')

export const OUR_DIFFERENCES: Readonly<Record<string, string>> = {
  'MQTT-3.8.4-5':
    'Aedes folds a filter that is named twice in one SUBSCRIBE into its last mention, and the SUBACK has one code less. ' +
    'Its SUBACK is made where a subclass cannot reach; clients do not name a filter twice.',
}

export const MOSQUITTO_DIFFERENCES: Readonly<Record<string, string>> = {
  'MQTT-2.2.2-2': 'a PINGREQ with a flag set is answered.',
  'MQTT-3.3.5-1': 'of overlapping subscriptions the one it comes to first decides the QoS.',
  'MQTT-4.3.3-2':
    'a QoS 2 message that is sent twice before its PUBREC, the second time with DUP, ends the connection.',
  'MQTT-4.8.0-1': 'a SUBACK that a client sends is ignored.',
  'MQTT-6.0.0-1': 'a text frame over WebSocket is taken, or waited on.',
}

/** What no statement demands and a user of both should know. */
export const REMARKS: readonly string[] = [
  'Sessions that are not clean live in memory: they end with the process. Telemetry does not depend on them; it is in the log.',
  '`$share/...` is refused with 0x80 (MQTT 3.1.1 has no shared subscriptions; MQTT 5 has), `$SYS/#` too, and a PUBLISH to a topic that begins with `$` ends the connection.',
  `A session that is not clean is owed at most ${count(SESSION_QUEUE_MESSAGES_MAX)} messages and ${count(SESSION_QUEUE_BYTES_MAX / 1024)} KiB of payload, those sent and not acknowledged among them; more are dropped and counted.`,
  `A clean session with ${count(UNACKNOWLEDGED_MAX)} messages sent and not acknowledged is disconnected at the next.`,
  'A PUBREC for a message of QoS 1 is answered by a PUBREL and settles nothing, as no acknowledgement of another kind does; the connection stays.',
  `A client id of more than ${count(CLIENT_ID_CHARS_MAX)} characters gets return code 2.`,
  'Over TCP, what a client sends right behind its CONNECT is taken though it ends its side at once; over TLS it is not, and not acknowledged.',
  'A topic or filter has at most 100 levels; deeper ones end the connection.',
  'MQTT 3.1 and MQTT 5 are spoken, too; statement by statement only this level is tried.',
  'With `TELLTALE_AUTH=token`, which is the default, clients may publish and subscribe less than here: see the README.',
]
