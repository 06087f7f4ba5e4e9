/** Owns a wake-up that many may wait for. A raise between looking and waiting is not missed: the waiter names what it saw. */

export class Signal {
  readonly #waiters = new Set<() => void>()
  #raised = 0

  /** How often it was raised: to be read before looking for what the signal tells of. */
  get raised(): number {
    return this.#raised
  }

  /** Resolves at the first raise after `seen`, or after `timeoutMs` if that is given. */
  async wait(seen: number, timeoutMs?: number): Promise<void> {
    if (seen !== this.#raised) return
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#waiters.delete(done)
        resolve()
      }
      const timer = timeoutMs === undefined ? undefined : setTimeout(done, timeoutMs)
      this.#waiters.add(done)
    })
  }

  raise(): void {
    this.#raised++
    for (const wake of this.#waiters) wake()
  }
}
