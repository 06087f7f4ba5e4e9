/** Owns how it is said that something answers where the broker is to be, and is none. Of what does not answer at all Node says why. */

import { ErrorWithReasonCode } from 'mqtt'

/** Something is there, and it is no broker of MQTT. */
export class NoBroker extends Error {}

/** `mqtt` names it so, and gives it no code. */
const CONNACK_TIMEOUT = 'connack timeout'

/** Of an attempt whose TCP connection was made, and that got no CONNACK: what its error means. */
export function namedAnswer(error: Error): Error {
  if (error.message === CONNACK_TIMEOUT) return new NoBroker('something is there, and does not answer CONNECT')
  // Node's errors, and those of TLS, have codes; those of the parser of packets have none.
  if ('code' in error || error instanceof ErrorWithReasonCode) return error
  return new NoBroker(`something answers, but it does not speak MQTT: ${error.message}`, { cause: error })
}
