/**
 * Owns a verified run against a platform that is tried: `telltale simulate --verify` of this tree, never of the tried build, in a process of its own.
 * Bound: a run that does not end within `OVERDUE_MS` after its time is ended, and says so.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Summary } from '../../devices/simulator/report/summary.ts'
import { plainEnvironment } from '../e2e/platform.ts'
import { ROOT } from '../tree.ts'
import { scenarioOf } from './scenario.ts'

/** The folder of the run. */
const RUN = 'run'
/** A restart, what drains, and what is asked of the store. */
const OVERDUE_MS = 180_000

export interface VerifiedRunOptions {
  readonly seconds: number
  /** How long at most it waits in the end for what was sent. */
  readonly drainSeconds?: number
  /** Where the run's folder is made. */
  readonly directory: string
  /** Of the broker, if it is not the platform's own. */
  readonly url?: string
  /** Ends the run: what it says then is of no interest. */
  readonly signal: AbortSignal
}

export interface VerifiedRun {
  /** Null: it was ended. */
  readonly exitCode: number | null
  readonly summary: Summary | undefined
  /** On standard error. */
  readonly said: string
  /** It was ended because it took too long. */
  readonly isOverdue: boolean
}

/** What of a platform a run needs to know: its data, for the key of its tokens, and its ports. */
export interface TriedPlatform {
  readonly directory: string
  readonly mqttPort: number
  readonly gatewayPort: number
}

/** The file that is there once the run has connected, and begins to send. */
export const runRecord = (directory: string): string => join(directory, RUN, 'run.json')

export async function verifiedRun(platform: TriedPlatform, options: VerifiedRunOptions): Promise<VerifiedRun> {
  const { seconds, drainSeconds, directory, url, signal } = options
  const scenario = join(directory, 'scenario.yaml')
  writeFileSync(scenario, scenarioOf(seconds, drainSeconds))
  const args = ['simulate', '--scenario', scenario, '--out', join(directory, RUN), '--verify', '--json']
  // It stands before the platform's own broker.
  if (url !== undefined) args.push('--url', url, '--gateway', `http://127.0.0.1:${platform.gatewayPort}`)
  const env = {
    ...plainEnvironment(),
    TELLTALE_DATA_DIR: platform.directory,
    TELLTALE_MQTT_PORT: String(platform.mqttPort),
    TELLTALE_GATEWAY_PORT: String(platform.gatewayPort),
  }
  const child = spawn(process.execPath, [join(ROOT, 'cli/telltale.js'), ...args], {
    cwd: ROOT,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const end = () => child.kill('SIGKILL')
  let isOverdue = false
  const late = setTimeout(
    () => {
      isOverdue = true
      end()
    },
    seconds * 1_000 + OVERDUE_MS,
  )
  signal.addEventListener('abort', end, { once: true })
  process.once('exit', end)
  const exited = once(child, 'exit')
  const [printed, said] = await Promise.all([text(child.stdout), text(child.stderr)])
  const [exitCode] = await exited
  clearTimeout(late)
  signal.removeEventListener('abort', end)
  process.off('exit', end)
  const account = isOverdue ? `the run was not over within ${seconds + OVERDUE_MS / 1_000} s\n${said}` : said
  return { exitCode: exitCode as number | null, summary: readSummary(printed), said: account, isOverdue }
}

function readSummary(printed: string): Summary | undefined {
  try {
    return JSON.parse(printed) as Summary
  } catch {
    return undefined
  }
}
