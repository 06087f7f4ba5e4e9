/**
 * Owns the tasks of the page's main thread while it is open, from Chromium's own trace: how long each took by the clock, and how long of the
 * processor. On a machine that does other work a task waits for the processor, which is no fault of the page.
 *
 * Bound: a trace of `WINDOW_MS`, of which the longest task stays; between two traces a few milliseconds are not seen.
 */

import type { CDPSession, Page } from 'playwright-core'

const WINDOW_MS = 5_000
/** What the platform calls a long task (W3C Long Tasks). */
export const LONG_MS = 50

interface TraceEvent {
  readonly name: string
  readonly ph: string
  readonly pid: number
  readonly tid: number
  /** Microseconds, by the clock and of the processor. */
  readonly dur?: number
  readonly tdur?: number
  readonly args?: { readonly name?: string }
}

export interface Task {
  readonly wallMs: number
  readonly cpuMs: number
}

export interface Tasks {
  /** Longer than `LONG_MS` by the clock. */
  long: number
  /** Likewise of the processor. */
  longOfCpu: number
  longest: Task
  longestOfCpu: Task
}

const NONE: Task = { wallMs: 0, cpuMs: 0 }
export const noTasks = (): Tasks => ({ long: 0, longOfCpu: 0, longest: NONE, longestOfCpu: NONE })

export class TaskWatch {
  readonly #session: CDPSession
  #tasks = noTasks()
  #stopping = false
  #watching: Promise<void>

  private constructor(session: CDPSession) {
    this.#session = session
    this.#watching = this.#watch()
  }

  static async begin(page: Page): Promise<TaskWatch> {
    const session = await page.context().browser()?.newBrowserCDPSession()
    if (session === undefined) throw new Error('the page has no browser')
    return new TaskWatch(session)
  }

  /** Since it was last asked for. */
  take(): Tasks {
    const tasks = this.#tasks
    this.#tasks = noTasks()
    return tasks
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await this.#watching
  }

  async #watch(): Promise<void> {
    while (!this.#stopping) {
      await this.#session.send('Tracing.start', {
        transferMode: 'ReportEvents',
        traceConfig: { includedCategories: ['toplevel'], excludedCategories: ['*'] },
      })
      for (const end = performance.now() + WINDOW_MS; performance.now() < end && !this.#stopping; )
        await new Promise((resolve) => setTimeout(resolve, 100))
      this.#note(await this.#end())
    }
  }

  #end(): Promise<TraceEvent[]> {
    return new Promise((resolve, reject) => {
      const events: TraceEvent[] = []
      const collect = ({ value }: { readonly value: object[] }) => void events.push(...(value as TraceEvent[]))
      this.#session.on('Tracing.dataCollected', collect)
      this.#session.once('Tracing.tracingComplete', () => {
        this.#session.off('Tracing.dataCollected', collect)
        resolve(events)
      })
      this.#session.send('Tracing.end').catch(reject)
    })
  }

  #note(events: readonly TraceEvent[]): void {
    const isMain = new Set(
      events
        .filter(({ ph, args }) => ph === 'M' && args?.name === 'CrRendererMain')
        .map(({ pid, tid }) => `${pid} ${tid}`),
    )
    for (const { ph, pid, tid, dur = 0, tdur = 0 } of events) {
      if (ph !== 'X' || !isMain.has(`${pid} ${tid}`)) continue
      const task = { wallMs: dur / 1_000, cpuMs: tdur / 1_000 }
      const tasks = this.#tasks
      if (task.wallMs > LONG_MS) tasks.long++
      if (task.cpuMs > LONG_MS) tasks.longOfCpu++
      if (task.wallMs > tasks.longest.wallMs) tasks.longest = task
      if (task.cpuMs > tasks.longestOfCpu.cpuMs) tasks.longestOfCpu = task
    }
  }
}
