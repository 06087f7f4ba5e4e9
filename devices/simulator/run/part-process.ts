/**
 * Owns the other end of a `ForkedPart`: a process that does what it is asked, and ends with the one that asks. Always true: it leaves the end
 * of the run to its parent, whatever signal the terminal sends to all.
 */

import type { Logger } from '../../../platform/logger.ts'
import type { Credentials } from '../fleet/fleet.ts'
import type { SimulatorSchemas } from '../messages/simulator-schemas.ts'
import type { Scenario } from '../scenario/scenario.ts'
import { SimulatorError } from '../simulator-error.ts'
import { LocalPart } from './local-part.ts'
import { costOfThisProcess } from './own-cost.ts'
import type { Asked, PartJob, Question } from './part-messages.ts'

export interface PartProcessDeps {
  readonly schemas: SimulatorSchemas
  readonly credentials: (file: string | undefined, scenario: Scenario) => Promise<Credentials>
  readonly logger: Logger
}

/** Serves its parent until that ends, or says so. */
export function servePart(deps: PartProcessDeps): void {
  const served = new ServedPart(deps)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {})
  process.on('message', (asked: Asked) => void served.answer(asked))
  process.once('disconnect', () => process.exit())
}

class ServedPart {
  readonly #deps: PartProcessDeps
  #part: LocalPart | undefined
  /** Of what goes on. */
  #aborting = new AbortController()

  constructor(deps: PartProcessDeps) {
    this.#deps = deps
  }

  async answer({ number, ...question }: Asked): Promise<void> {
    if (question.ask === 'abort') {
      this.#aborting.abort()
      return
    }
    try {
      const answer = await this.#do(question)
      if (process.connected) process.send?.({ number, answer })
    } catch (error) {
      if (!(error instanceof Error)) throw error
      const code = 'code' in error ? String(error.code) : 'failed'
      if (process.connected) process.send?.({ number, error: { code, message: error.message } })
    }
  }

  async #do(question: Question): Promise<unknown> {
    if (question.ask === 'prepare') return this.#prepare(question.job)
    if (question.ask === 'cost') return costOfThisProcess()
    const part = this.#part
    if (part === undefined) throw new SimulatorError('process-gone', 'a process of the run has nothing to do')
    switch (question.ask) {
      case 'connect':
        return part.connect(this.#aborting.signal)
      case 'begin':
        return part.begin(question.at, question.startAt)
      case 'publish':
        return part.publish(question.until, this.#aborting.signal)
      case 'drain':
        return part.drain(question.ms)
      case 'close':
        return part.close()
      case 'share':
        return part.share()
      case 'payload-hashes':
        return part.payloadHashes()
      case 'befall':
        return part.befall(question.device, question.fault)
      case 'relieve':
        return part.relieve(question.device, question.fault)
      case 'is-online':
        return part.isOnline(question.device)
    }
  }

  async #prepare(job: PartJob): Promise<void> {
    const { schemas, credentials, logger } = this.#deps
    this.#part = new LocalPart(job, {
      schemas,
      credentials: await credentials(job.credentialsFile, job.scenario),
      logger,
    })
    await this.#part.prepare()
  }
}
