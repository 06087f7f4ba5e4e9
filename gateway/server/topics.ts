/**
 * Owns who has joined which topic, where the server's library has no topics of its own. A topic has at least one member, or there is
 * none of its name.
 */

/** One who joins; what is published is made ready once for all. */
export interface Member<Ready> {
  deliver(frame: Ready): void
}

export class Topics<Ready> {
  readonly #members = new Map<string, Set<Member<Ready>>>()

  join(topic: string, member: Member<Ready>): void {
    const members = this.#members.get(topic)
    if (members) members.add(member)
    else this.#members.set(topic, new Set([member]))
  }

  leave(topic: string, member: Member<Ready>): void {
    const members = this.#members.get(topic)
    members?.delete(member)
    if (members?.size === 0) this.#members.delete(topic)
  }

  publish(topic: string, makeReady: () => Ready): void {
    const members = this.#members.get(topic)
    if (members === undefined) return
    const frame = makeReady()
    for (const member of members) member.deliver(frame)
  }
}
