/**
 * Owns the questions to a platform of ours about faults that no device sees and no message shows, while they are done: whether a mute device is
 * told to be silent, and whether a command stays `sent` to one that acknowledges none. Always true: what could not be asked, or is told for
 * another reason first, counts as not looked at, and never as wrong. Bound: `COMMANDED_MAX` devices of a fault are sent a command, one at a time.
 */

import { setTimeout as pause } from 'node:timers/promises'
import { type Client, connect, TelltaleError } from '../../../client/client.ts'
import { messageOf } from '../../../platform/errors.ts'
import type { Logger } from '../../../platform/logger.ts'
import { befallenBy } from '../scenario/befallen.ts'
import type { FaultKind } from '../scenario/fault.ts'
import { deviceName, type Scenario } from '../scenario/scenario.ts'

const COMMANDED_MAX = 100
/** A device is told to be silent after so many of its intervals, and so long (docs/contract.md). */
const SILENT_INTERVALS = 3
const SILENT_MS_MIN = 5_000
/** By then the platform has come to tell it. */
const TOLD_WITHIN_MS = 2_000
/** The last answer comes before the end of the window. */
const BEFORE_END_MS = 500
/** A command is sent when the fault has surely begun. */
const AFTER_BEGIN_MS = 250
/** After the run. */
const ANSWERED_WITHIN_MS = 2_000
/** The longest that a timer takes. */
const TIMER_MS_MAX = 2 ** 31 - 1

/** Of the devices, or commands, of one fault. */
export interface FaultLook {
  readonly looked: number
  readonly asExpected: number
}

export interface FaultChecksDeps {
  readonly token: () => Promise<string>
  readonly logger: Pick<Logger, 'warn'>
}

interface Window {
  readonly number: number
  readonly ids: readonly string[]
  /** After the run began. */
  readonly fromMs: number
  readonly untilMs: number
  /** Of the fault, which may be after that of the run. */
  readonly endMs: number
}

interface Signals {
  /** Until the run ends. */
  readonly running: AbortSignal
  /** Until no answer is waited for any more. */
  readonly asking: AbortSignal
}

export const needsChecks = ({ faults }: Scenario): boolean => faults.some(({ kind }) => kind in LOOKS)

export class FaultChecks {
  readonly #scenario: Scenario
  readonly #url: string
  readonly #deps: FaultChecksDeps
  readonly #ending = new AbortController()
  readonly #stopping = new AbortController()
  readonly #looks = new Map<number, FaultLook>()
  #running: Promise<unknown> | undefined

  /** `url`: of the gateway. */
  constructor(scenario: Scenario, url: string, deps: FaultChecksDeps) {
    this.#scenario = scenario
    this.#url = url
    this.#deps = deps
  }

  /** By the number of the fault; none of one that was not looked at. */
  get looks(): ReadonlyMap<number, FaultLook> {
    return this.#looks
  }

  /** The run begins. */
  start(): void {
    const began = performance.now()
    const app = connect(this.#url, { token: this.#deps.token })
    const looking = this.#scenario.faults.map(async ({ kind }, number) => {
      const look = LOOKS[kind]
      const window = this.#windowOf(number)
      if (look === undefined || window === undefined) return
      try {
        const found = await look(app, window, { running: this.#ending.signal, asking: this.#stopping.signal })
        // What is answered later may be of after the fault.
        if (found.looked > 0 && performance.now() - began < window.endMs) this.#looks.set(number, found)
      } catch (error) {
        if (!this.#ending.signal.aborted)
          this.#deps.logger.warn(`nobody looked what came of ${kind}: ${messageOf(error)}`)
      }
    })
    this.#running = Promise.all(looking).finally(() => app.close())
  }

  /** The run ends: what was asked is answered yet, within `ANSWERED_WITHIN_MS`. */
  async stop(): Promise<void> {
    this.#ending.abort()
    const timer = setTimeout(() => this.#stopping.abort(), ANSWERED_WITHIN_MS)
    await this.#running
    clearTimeout(timer)
  }

  /** Undefined if it has no end in this run. */
  #windowOf(number: number): Window | undefined {
    const { faults, fleet, durationMs } = this.#scenario
    const fault = faults[number]
    const endMs = (fault?.atMs ?? 0) + (fault?.forMs ?? 0)
    const untilMs = Math.min(endMs, durationMs)
    if (fault === undefined || untilMs > TIMER_MS_MAX) return undefined
    const befallen = befallenBy(this.#scenario)
    const ids = fleet
      .flatMap((group) => Array.from({ length: group.devices }, (_, index) => deviceName(group, index)))
      .filter((_, index) => befallen(index).some((each) => each.number === number))
    return { number, ids, fromMs: fault.atMs, untilMs, endMs: endMs >= durationMs ? Number.POSITIVE_INFINITY : endMs }
  }
}

type Look = (app: Client, window: Window, signals: Signals) => Promise<FaultLook>

/** Of a device that is told nothing else: that it is silent, near the end. */
const lookAtMute: Look = async (app, { ids, fromMs, untilMs }, { running, asking: signal }) => {
  const atMs = Math.max(fromMs, untilMs - BEFORE_END_MS)
  await pause(atMs, undefined, { signal: running })
  const muted = new Set(ids)
  let looked = 0
  let asExpected = 0
  for await (const { device, state, intervalMs } of app.devices([], { signal })) {
    if (!muted.has(device) || intervalMs === undefined) continue
    const toldMs = Math.max(SILENT_MS_MIN, SILENT_INTERVALS * intervalMs) + TOLD_WITHIN_MS
    if (atMs - fromMs < toldMs || (state !== 'silent' && state !== 'online')) continue
    looked++
    if (state === 'silent') asExpected++
  }
  return { looked, asExpected }
}

/** Of a command that has left: that it stays unacknowledged. It is taken back. */
const lookAtCommands: Look = async (app, { number, ids, fromMs, untilMs }, { running, asking: signal }) => {
  await pause(fromMs + AFTER_BEGIN_MS, undefined, { signal: running })
  const began = performance.now() - AFTER_BEGIN_MS
  const sent: [device: string, command: string][] = []
  for (const device of ids.slice(0, COMMANDED_MAX)) {
    sent.push([device, await app.sendCommand(device, { simulated: `fault ${number}` }, { signal })])
  }
  const leftMs = untilMs - fromMs - BEFORE_END_MS - (performance.now() - began)
  await pause(Math.max(0, leftMs), undefined, { signal: running })
  let looked = 0
  let asExpected = 0
  for (const [device, id] of sent) {
    const command = (await app.commands(device, { signal })).find((each) => each.id === id)
    if (command?.state !== 'sent' && command?.state !== 'acknowledged') continue
    looked++
    if (command.state === 'sent') asExpected++
    await app.cancelCommand(device, id, { signal }).catch((error: unknown) => {
      if (!(error instanceof TelltaleError)) throw error
    })
  }
  return { looked, asExpected }
}

const LOOKS: Partial<Record<FaultKind, Look>> = { mute: lookAtMute, 'never-acknowledges': lookAtCommands }
