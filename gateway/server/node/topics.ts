/** Owns who has joined which topic. A topic has at least one member, or there is none of its name. */

/** One who joins. */
export interface Member {
  sendBytes(frame: Buffer): void
}

export class Topics {
  readonly #members = new Map<string, Set<Member>>()

  join(topic: string, socket: Member): void {
    const members = this.#members.get(topic)
    if (members) members.add(socket)
    else this.#members.set(topic, new Set([socket]))
  }

  leave(topic: string, socket: Member): void {
    const members = this.#members.get(topic)
    members?.delete(socket)
    if (members?.size === 0) this.#members.delete(topic)
  }

  publish(topic: string, frame: string): void {
    const members = this.#members.get(topic)
    if (members === undefined) return
    const bytes = Buffer.from(frame)
    for (const socket of members) socket.sendBytes(bytes)
  }
}
