/**
 * Owns a part of a run that is in a process of its own. Always true: a process that ends before it was closed fails what was asked of it, and
 * so the run; one whose parent ends, ends. Bound: one answer for each question.
 */

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { noTimings } from '../fleet/tally.ts'
import type { NumberedFault } from '../scenario/befallen.ts'
import { SimulatorError } from '../simulator-error.ts'
import type { Cost } from './own-cost.ts'
import type { Part, PartShare } from './part.ts'
import type { Answer, Answers, PartJob, Question } from './part-messages.ts'

interface Waiting {
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: Error) => void
}

export class ForkedPart implements Part {
  readonly #job: PartJob
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, Waiting>()
  #asked = 0
  #cost: Cost = { cpuSeconds: 0, rssBytesMax: 0 }
  /** What it told when it was closed. */
  #last: PartShare | undefined
  readonly #online = new Map<string, boolean | undefined>()
  #isClosed = false

  /** `command`: the arguments of this Node that serve a part (`part-process.ts`). */
  constructor(job: PartJob, command: readonly string[]) {
    this.#job = job
    const [file = '', ...args] = command
    this.#child = fork(file, args, { serialization: 'advanced', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#child.on('message', (message) => this.#answered(message as Answer))
    this.#child.once('exit', (code, signal) => this.#ended(`ended with ${signal ?? code}`))
    this.#child.once('error', (error) => this.#ended(error.message))
  }

  prepare(): Promise<undefined> {
    return this.#ask({ ask: 'prepare', job: this.#job })
  }

  connect(signal: AbortSignal): Promise<undefined> {
    return this.#ask({ ask: 'connect' }, signal)
  }

  begin(at: number, startAt: number): void {
    // One that cannot is gone, which `publish` rejects with.
    void this.#ask({ ask: 'begin', at, startAt }).catch(() => undefined)
  }

  publish(until: number, signal: AbortSignal): Promise<undefined> {
    return this.#ask({ ask: 'publish', until }, signal)
  }

  drain(ms: number): Promise<undefined> {
    return this.#ask({ ask: 'drain', ms })
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    if (!this.#child.connected) return
    const exited = once(this.#child, 'exit')
    await this.#ask({ ask: 'close' })
    this.#last = await this.#ask({ ask: 'share' })
    this.#cost = await this.#ask({ ask: 'cost' })
    this.#child.disconnect()
    await exited
  }

  async share(): Promise<PartShare> {
    const last = this.#last
    if (last === undefined) return this.#ask({ ask: 'share' })
    this.#last = { ...last, timings: noTimings() }
    return last
  }

  payloadHashes(): Promise<Readonly<Record<string, string>>> {
    return this.#ask({ ask: 'payload-hashes' })
  }

  befall(device: string, fault: NumberedFault): void {
    void this.#ask({ ask: 'befall', device, fault }).catch(() => undefined)
  }

  relieve(device: string, number: number): void {
    void this.#ask({ ask: 'relieve', device, fault: number }).catch(() => undefined)
  }

  /** As it was when this was last asked. */
  isOnline(device: string): boolean | undefined {
    void this.#ask({ ask: 'is-online', device }).then(
      (isOnline) => this.#online.set(device, isOnline),
      () => undefined,
    )
    return this.#online.get(device)
  }

  cost(): Cost {
    return this.#cost
  }

  async #ask<A extends Question['ask']>(
    question: Question & { readonly ask: A },
    signal?: AbortSignal,
  ): Promise<Answers[A]> {
    if (!this.#child.connected) throw gone('is not there any more')
    const number = this.#asked++
    const onAbort = () => this.#child.connected && this.#child.send({ ask: 'abort', number: this.#asked++ })
    signal?.addEventListener('abort', onAbort)
    try {
      return await new Promise<Answers[A]>((resolve, reject) => {
        this.#waiting.set(number, { resolve: resolve as (answer: unknown) => void, reject })
        this.#child.send({ ...question, number })
        if (signal?.aborted) onAbort()
      })
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  #answered(answer: Answer): void {
    const waiting = this.#waiting.get(answer.number)
    this.#waiting.delete(answer.number)
    if ('error' in answer) waiting?.reject(new SimulatorError(answer.error.code, answer.error.message))
    else waiting?.resolve(answer.answer)
  }

  #ended(how: string): void {
    for (const { reject } of this.#waiting.values()) reject(gone(how))
    this.#waiting.clear()
  }
}

const gone = (how: string) => new SimulatorError('process-gone', `a process of the run ${how}`)
