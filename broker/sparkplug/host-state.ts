/**
 * Owns what edge nodes of Sparkplug are told of this platform as their primary host (3.0, section 6.4.24): retained JSON on
 * `spBv1.0/STATE/{host}`. Edge nodes that wait for it keep what they have while it is offline.
 */

import { stateTopic } from '../../maps/sparkplug/topic.ts'
import type { Clock } from '../../platform/clock.ts'

type Send = (topic: string, payload: Buffer) => Promise<void>

export class HostState {
  readonly #topic: string
  readonly #send: Send
  readonly #clock: Clock
  #timestamp = 0

  constructor(host: string, send: Send, { clock }: { readonly clock: Clock }) {
    this.#topic = stateTopic(host)
    this.#send = send
    this.#clock = clock
  }

  online(): Promise<void> {
    this.#timestamp = Math.floor(this.#clock.now())
    return this.#tell(true)
  }

  /** Its time is that of the online before it. */
  offline(): Promise<void> {
    return this.#tell(false)
  }

  #tell(online: boolean): Promise<void> {
    return this.#send(this.#topic, Buffer.from(JSON.stringify({ online, timestamp: this.#timestamp })))
  }
}
