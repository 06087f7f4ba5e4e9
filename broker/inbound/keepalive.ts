/**
 * Owns when a client is ended for its silence, in the place of Aedes's timer. That one runs from packet to packet, and cut off a
 * PUBLISH that took longer to come than one and a half times the keep alive, with its bytes coming all the time; and one for each
 * connection is 0.3 KiB. Here all are looked over, together with what they have not read (`Sweeps`).
 *
 *   listening --a packet, or bytes of one--> listening
 *             --1.5 x keep alive without--> read from? --no--> listening
 *                                               | yes
 *                                               +--> ended, at the next look
 *
 * Always true: nobody is ended whom the broker does not read from: the PINGREQ may wait in the socket (MQTT 3.1.1 section 3.1.2.10
 * speaks of what the client sends). Bound: a packet that dribbles for ever is ended as stuck, see `Packets.isStuck`; a peer that is
 * gone without a word while it is not read from is found by TCP.
 */

export class Keepalive {
  /** One and a half times the keep alive. */
  readonly #ms: number
  /** By the process's clock, milliseconds. */
  #heardAt: number

  constructor(ms: number, now: number) {
    this.#ms = ms
    this.#heardAt = now
  }

  heard(now: number): void {
    this.#heardAt = now
  }

  /** Whether its time is over at `now`. */
  isOver(now: number): boolean {
    return now - this.#heardAt >= this.#ms
  }
}
