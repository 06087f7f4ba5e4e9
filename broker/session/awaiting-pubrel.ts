/**
 * Owns the QoS 2 messages that a session has sent and not released: method A of MQTT 3.1.1 section 4.3.3.
 *
 *   unknown --admit--> appending --durable--> appended --publish--> received --PUBREL--> unknown
 *                          |--refused--> unknown
 *
 * Always true: until its PUBREL a packet id is appended once and published once, on whichever of the session's connections it
 * comes. It belongs to the session and not to the client id: a clean one begins with none, whatever a connection before it is
 * still appending. Bound: `QOS2_INFLIGHT_MAX` ids; one more ends the connection.
 */

import { QOS2_INFLIGHT_MAX } from '../../platform/limits.ts'
import { Disconnect } from '../reports/disconnects.ts'

type Done = (error?: Error | null) => void

export class AwaitingPubrel {
  /** Those who wait for the append, while it lasts. */
  readonly #states = new Map<number, Done[] | 'appended' | 'received'>()

  /** Calls `append` unless the message was appended; `done` is told when it is, or why not. */
  admit(id: number, append: (appended: Done) => void, done: Done): void {
    const state = this.#states.get(id)
    if (Array.isArray(state)) state.push(done)
    else if (state !== undefined) done()
    else if (this.#states.size >= QOS2_INFLIGHT_MAX)
      done(new Disconnect('protocol-error', `${QOS2_INFLIGHT_MAX} messages wait for their PUBREL`))
    else {
      const waiting = [done]
      this.#states.set(id, waiting)
      append((error) => {
        if (error) this.#states.delete(id)
        else this.#states.set(id, 'appended')
        for (const each of waiting) each(error)
      })
    }
  }

  /** Whether the message is to be published now. */
  publish(id: number): boolean {
    if (this.#states.get(id) !== 'appended') return false
    this.#states.set(id, 'received')
    return true
  }

  has(id: number): boolean {
    return this.#states.get(id) === 'received'
  }

  release(id: number): void {
    if (this.has(id)) this.#states.delete(id)
  }
}
