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
  'MQTT5-2.1.3-1': 'a PINGREQ with a flag set is answered.',
  'MQTT5-3.1.2-25': 'a message that was too large for the client still counts against its Receive Maximum.',
  'MQTT5-3.1.4-3': 'a client that is taken over is not told; its connection ends.',
  'MQTT5-3.3.1-2': 'a PUBLISH of QoS 0 with DUP is taken.',
  'MQTT5-3.3.2-14': 'a Response Topic with a wildcard is handed on.',
  'MQTT5-3.3.4-6': "a client's PUBLISH with a subscription identifier is taken.",
  'MQTT5-3.3.4-7': 'more messages of QoS 2 than its Receive Maximum are taken.',
  'MQTT5-3.3.4-9': 'each PUBACK is followed by two messages, though one has become free.',
  'MQTT5-3.8.3-4': 'No Local on a shared subscription is taken.',
  'MQTT5-4.13.1-1': 'a SUBACK that a client sends is ignored.',
  'MQTT5-4.3.3-10': 'a QoS 2 message that is sent again before its PUBREL, with DUP, ends the connection.',
  'MQTT5-4.3.3-13': 'a message that expires between PUBREC and PUBCOMP is forgotten, and its PUBREL not sent again.',
  'MQTT5-4.3.3-7': 'a message that expires after it was sent is forgotten, and not sent again.',
  'MQTT5-4.8.2-1': 'a group without a name is taken.',
  'MQTT5-4.8.2-2': '`$share/g`, without a filter, is taken.',
  'MQTT5-6.0.0-1': 'a text frame over WebSocket is taken, or waited on.',
}

/** What no statement demands and a user of both should know. */
export const REMARKS: readonly string[] = [
  'Sessions that are not clean live in memory: they end with the process. Telemetry does not depend on them; it is in the log.',
  '`$share/...` is refused with 0x80 by MQTT 3.1.1, which has no shared subscriptions, and `$SYS/#` at both levels. A PUBLISH to a topic that begins with `$` ends the connection; by MQTT 5 it is acknowledged with 0x87 and dropped.',
  'Who shares a subscription by MQTT 5 at QoS 1 or 2 has a session that ends with its connection (a Session Expiry Interval of 0): in another it is refused.',
  `A session that is not clean is owed at most ${count(SESSION_QUEUE_MESSAGES_MAX)} messages and ${count(SESSION_QUEUE_BYTES_MAX / 1024)} KiB of payload, those sent and not acknowledged among them; more are dropped and counted.`,
  `A clean session with ${count(UNACKNOWLEDGED_MAX)} messages sent and not acknowledged is disconnected at the next.`,
  'A PUBREC for a message of QoS 1 is answered by a PUBREL and settles nothing, as no acknowledgement of another kind does; the connection stays.',
  `A client id of more than ${count(CLIENT_ID_CHARS_MAX)} characters gets return code 2.`,
  'Over TCP, what a client sends right behind its CONNECT is taken though it ends its side at once; over TLS it is not, and not acknowledged.',
  'A topic or filter has at most 100 levels; deeper ones end the connection.',
  'MQTT 3.1 is spoken, too; statement by statement it is not tried.',
  'With `TELLTALE_AUTH=token`, which is the default, clients may publish and subscribe less than here: see the README.',
]

/** What other people's suites say of MQTT 5, run by hand: they are in no registry. */
export const OTHER_SUITES: readonly string[] = [
  "`client_test5` of Eclipse's paho.mqtt.testing, with `TELLTALE_MQTT_KEEPALIVE_MAX=60s`: 25 of its 27 tests pass. `test_dollar_topics` fails in its own reader, " +
    'which takes a PUBACK of 2 to 4 bytes and none with a Reason String (section 3.4.2.2.2); with that line mended it passes. ' +
    '`test_subscribe_failure` wants 0x80 for a topic that its own broker is set up to refuse: with authentication off none is refused here, and with it on the reason is 0x87.',
  "`mqtt5-conformance` of LabOverWire's mqtt-lib (August 2026): 180 of the 184 tests pass that apply here. Two want two copies where subscriptions overlap, and one wants a shared " +
    'subscription\'s messages to take turns, which the specification leaves to the server. One wants 0x84 for MQTT "6", which is answered as MQTT 3.1.1 demands, by return code 1. ' +
    'Its client loses an answer that comes before it waits for it, a few in each run, until that is mended.',
]
