/** Owns the part of a run that is in this process. */

import { Fleet, type FleetDeps, type FleetOptions } from '../fleet/fleet.ts'
import { Journal } from '../fleet/journal.ts'
import { MessageLog } from '../kept/message-log.ts'
import type { NumberedFault } from '../scenario/befallen.ts'
import type { Part, PartShare } from './part.ts'

export interface LocalPartOptions extends FleetOptions {
  /** `messages-<p>.tsv`; undefined: no message is kept. */
  readonly messagesFile: string | undefined
}

export type LocalPartDeps = Omit<FleetDeps, 'journal'>

export class LocalPart implements Part {
  readonly #fleet: Fleet
  readonly #journal: Journal
  #isClosed = false

  constructor(options: LocalPartOptions, deps: LocalPartDeps) {
    const { messagesFile } = options
    const tags = new Map<string, readonly string[]>()
    const tagsOf = (stream: string) => {
      const columns = deps.schemas.registry.stream(stream)?.columns ?? []
      const known = tags.get(stream) ?? columns.filter(({ tag }) => tag).map(({ name }) => name)
      tags.set(stream, known)
      return known
    }
    this.#journal = new Journal(messagesFile === undefined ? undefined : new MessageLog(messagesFile), tagsOf)
    this.#fleet = new Fleet(options, { ...deps, journal: this.#journal })
  }

  prepare(): Promise<void> {
    return this.#fleet.prepare()
  }

  connect(signal: AbortSignal): Promise<void> {
    return this.#fleet.connect(signal)
  }

  begin(at: number, startAt: number): void {
    this.#fleet.begin(at, startAt)
  }

  publish(until: number, signal: AbortSignal): Promise<void> {
    return this.#fleet.publish(until, signal)
  }

  drain(ms: number): Promise<void> {
    return this.#fleet.drain(ms)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#fleet.close()
    this.#journal.close()
  }

  async share(): Promise<PartShare> {
    this.#journal.flush()
    const { problem, refusal } = this.#fleet
    const acknowledged = this.#journal.takeAcknowledged()
    return {
      ...this.#fleet.share(),
      ...(acknowledged !== undefined && { acknowledged }),
      ...(problem !== undefined && { problem }),
      ...(refusal !== undefined && { refused: refusal.message }),
    }
  }

  async payloadHashes(): Promise<Readonly<Record<string, string>>> {
    return this.#journal.payloadHashes()
  }

  befall(device: string, fault: NumberedFault): void {
    this.#fleet.device(device)?.befall(fault)
  }

  relieve(device: string, number: number): void {
    this.#fleet.device(device)?.relieve(number)
  }

  isOnline(device: string): boolean | undefined {
    return this.#fleet.device(device)?.connection.isOnline
  }
}
