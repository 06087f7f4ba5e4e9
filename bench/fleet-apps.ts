/** Owns the process of the apps that follow the fleet (`fleet-apps-load.ts`): starts it, and has it follow a run. */

import { fileURLToPath } from 'node:url'
import { Child } from './child.ts'
import type { FleetAppsOptions, FleetAppsResult, FleetAppsRun } from './fleet-apps-load.ts'

const LOAD = fileURLToPath(new URL('fleet-apps-load.ts', import.meta.url))
const MS_PER_SECOND = 1000

export class FleetApps {
  readonly #child = new Child('fleet apps', ['--import', 'tsx', LOAD])
  readonly #deadlineMs: number

  constructor(options: FleetAppsOptions) {
    this.#deadlineMs = options.deadlineMs
    this.#child.send(JSON.stringify(options))
  }

  /** Resolves when all apps are live. */
  async follow(run: FleetAppsRun): Promise<void> {
    this.#child.send(JSON.stringify(run))
    await this.#child.line((line) => line === 'live', this.#deadlineMs)
  }

  /** Resolves when all apps have had all readings. */
  async finish(run: FleetAppsRun, firstDueNs: bigint): Promise<FleetAppsResult> {
    this.#child.send(JSON.stringify({ firstDueNs: String(firstDueNs) }))
    const withinMs = (run.messages * MS_PER_SECOND) / run.rate + this.#deadlineMs
    return JSON.parse(await this.#child.line((line) => line.startsWith('{'), withinMs)) as FleetAppsResult
  }

  async stop(): Promise<void> {
    await this.#child.stop()
  }
}
