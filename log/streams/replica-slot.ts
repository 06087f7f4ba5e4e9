/**
 * Owns which replica a process has, where several of one machine have the same directory: each has one of its own, and a later process takes the place of one
 * that is gone, and what that had.
 */

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { LogError } from '../log-error.ts'
import { type Environment, openEnvironment } from '../tables/environment.ts'
import { acquireLock, releaseLock } from '../tables/lock.ts'

/** Processes of one directory. */
const SLOTS_MAX = 16

export class ReplicaSlot {
  readonly directory: string
  readonly #environment: Environment

  static async take(directory: string): Promise<ReplicaSlot> {
    for (let number = 0; number < SLOTS_MAX; number++) {
      const slot = join(directory, `${number}`)
      mkdirSync(slot, { recursive: true, mode: 0o700 })
      const environment = await openEnvironment(join(slot, 'lock'))
      try {
        await acquireLock(environment)
        return new ReplicaSlot(slot, environment)
      } catch (error) {
        await environment.root.close()
        if (!(error instanceof LogError && error.code === 'log-locked')) throw error
      }
    }
    throw new LogError('log-busy', `${SLOTS_MAX} processes have a replica of the log in ${directory} already`)
  }

  private constructor(directory: string, environment: Environment) {
    this.directory = directory
    this.#environment = environment
  }

  async release(): Promise<void> {
    await releaseLock(this.#environment)
    await this.#environment.root.close()
  }
}
