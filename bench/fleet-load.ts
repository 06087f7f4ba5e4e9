/**
 * Owns the fleet's load generator, `fleet-load.c`: compiles it, starts it against a broker, and has it publish. Its devices stay
 * connected from one run to the next. What it does and what ends it is said in its first lines.
 */

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Child } from './child.ts'
import type { FleetRun } from './fleet-runs.ts'
import { type Credential, writeConnects } from './packet-file.ts'

const SOURCE = fileURLToPath(new URL('fleet-load.c', import.meta.url))
/** From all addresses together: below what Telltale takes in a second (`CONNECTS_PER_SECOND_MAX`), or Mosquitto's listener queues. */
const CONNECTS_PER_SECOND = 1_500
/** What the generator adds to its own deadlines is said by it; only then is it stuck itself. */
const STUCK_MS = 10_000
const MS_PER_SECOND = 1000

export interface FleetLoadOptions {
  /** What `compileFleetLoad` made. */
  readonly program: string
  readonly port: number
  readonly credentials: readonly Credential[]
  /** For a file. */
  readonly directory: string
  /** For all to be connected, and after the last message of a run was due for all to be acknowledged. */
  readonly deadlineMs: number
}

/** In microseconds. Acknowledged and sent: since a message was due. */
export interface FleetLoadResult {
  readonly sent: number
  readonly acknowledged: number
  readonly elapsedUs: number
  readonly p50Us: number
  readonly p90Us: number
  readonly p99Us: number
  readonly p999Us: number
  readonly maxUs: number
  readonly lateP50Us: number
  readonly lateP99Us: number
  /** The generator's own. */
  readonly cpuUs: number
}

/** Compiles the load generator into `directory`; resolves with the program. */
export async function compileFleetLoad(directory: string): Promise<string> {
  const program = join(directory, 'fleet-load')
  try {
    await promisify(execFile)('cc', ['-O2', '-Wall', '-Wextra', '-o', program, SOURCE])
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause
    throw new Error("the fleet's load generator is compiled by cc, which is not here: apt install gcc libc6-dev", {
      cause,
    })
  }
  return program
}

export class FleetLoad {
  readonly #child: Child
  readonly #deadlineMs: number

  private constructor(child: Child, deadlineMs: number) {
    this.#child = child
    this.#deadlineMs = deadlineMs
  }

  /** Resolves when all devices have their CONNACK. */
  static async connect({ program, port, credentials, directory, deadlineMs }: FleetLoadOptions): Promise<FleetLoad> {
    const connects = join(directory, `connects-${port}`)
    writeConnects(connects, credentials)
    const args = [port, connects, CONNECTS_PER_SECOND, deadlineMs].map(String)
    const load = new FleetLoad(new Child('fleet-load', args, {}, program), deadlineMs)
    try {
      await load.#answer<{ connected: number }>(deadlineMs)
      return load
    } catch (error) {
      await load.stop()
      throw error
    }
  }

  /**
   * Resolves when all is acknowledged. Rejects with what the generator says if it is not, or a connection ends. The first message is
   * due at `firstDueNs`, by `process.hrtime`.
   */
  async publish({ file, messages, rate }: FleetRun, firstDueNs: bigint): Promise<FleetLoadResult> {
    this.#child.send(`${file} ${rate} ${firstDueNs}`)
    return this.#answer<FleetLoadResult>((messages * MS_PER_SECOND) / rate + this.#deadlineMs)
  }

  async stop(): Promise<void> {
    await this.#child.stop()
  }

  async #answer<T>(withinMs: number): Promise<T> {
    return JSON.parse(await this.#child.line((line) => line.startsWith('{'), withinMs + STUCK_MS)) as T
  }
}
