/**
 * What the list of a large fleet costs the browser: a real platform, simulators that send a message a second of each device, and a Chromium
 * with the list open, in which somebody scrolls, searches and filters. Printed by the minute. `npm run page -- 10 5000`: minutes (0.5 for a
 * look), devices. Exit code 1 if a task of the page took the processor for longer than `TASK_MS_MAX`.
 *
 * Processor time is that of the page's main thread, in percent of one core.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { CDPSession, Page } from 'playwright-core'
import type { DevicesPage } from '../../../gateway/devices/devices.ts'
import { openPage } from '../../browser.ts'
import { plainEnvironment, RunningPlatform } from '../../e2e/platform.ts'
import { ROOT } from '../../tree.ts'
import { until } from '../../until.ts'
import { type Tasks, TaskWatch } from './tasks.ts'

const TASK_MS_MAX = 100
const MINUTE_MS = 60_000
/** Somebody does the next thing. */
const STEP_MS = 2_000
/** One after the other: a machine that does other work has no time for more CONNECTs at once. */
const SIMULATOR_DEVICES = 500
const LIST_DEVICES = 10_000

const [minutes = 10, devices = 5_000] = process.argv.slice(2).map(Number)

/** The last that began ends first. */
const ends: (() => unknown)[] = []
const context = {
  after: (end: () => unknown) => ends.unshift(end),
  skip: (why: string) => {
    throw new Error(why)
  },
} as unknown as TestContext

const combobox = (page: Page, name: string) => page.getByRole('combobox', { name })
const chip = (page: Page, name: string) => page.getByLabel('By state').getByRole('link', { name })

/** What somebody does with the list, one after the other, again and again. */
const STEPS: readonly ((page: Page) => Promise<unknown>)[] = [
  (page) => page.mouse.wheel(0, 3_000),
  (page) => page.mouse.wheel(0, 60_000),
  (page) => page.mouse.wheel(0, -63_000),
  (page) => chip(page, 'Problems').click(),
  (page) => combobox(page, 'Order').selectOption('By name'),
  (page) => chip(page, 'All').click(),
  (page) => page.mouse.wheel(0, 3_000),
  (page) => page.getByRole('searchbox').pressSequentially('99', { delay: 50 }),
  (page) => page.getByRole('searchbox').fill(''),
  (page) => combobox(page, 'Order').selectOption('Seen last first'),
  (page) => combobox(page, 'Stream').selectOption('environment'),
  (page) => combobox(page, 'Stream').selectOption(''),
  (page) => combobox(page, 'Order').selectOption('Problems first'),
]

function simulate(platform: RunningPlatform, prefix: string, count: number): void {
  const args = [
    'simulate',
    '--devices',
    String(count),
    '--prefix',
    prefix,
    '--url',
    `mqtt://127.0.0.1:${platform.mqttPort}`,
  ]
  const env = { ...plainEnvironment(), TELLTALE_DATA_DIR: platform.directory }
  let isEnding = false
  let simulator: ChildProcess
  const begin = () => {
    simulator = spawn(process.execPath, [join(ROOT, 'cli/telltale.js'), ...args], { env, stdio: 'ignore' })
    // One whose devices did not all get in, for the machine had no time for them, tries again.
    simulator.once('exit', () => !isEnding && begin())
  }
  begin()
  context.after(async () => {
    isEnding = true
    const gone = once(simulator, 'exit')
    simulator.kill('SIGKILL')
    await gone
  })
}

async function startFleet(): Promise<RunningPlatform> {
  const platform = await RunningPlatform.start(context)
  for (let first = 0; first < devices; first += SIMULATOR_DEVICES) {
    const count = Math.min(SIMULATOR_DEVICES, devices - first)
    simulate(platform, `truck-${first / SIMULATOR_DEVICES}-`, count)
    await until(
      async () => {
        const page = await platform.get<DevicesPage>(`/v1/devices?last=false&limit=${LIST_DEVICES}`)
        return page.devices.length >= first + count
      },
      () => `${first + count} devices are there`,
    )
  }
  return platform
}

async function metricsOf(session: CDPSession): Promise<ReadonlyMap<string, number>> {
  const { metrics } = await session.send('Performance.getMetrics')
  return new Map(metrics.map(({ name, value }) => [name, value]))
}

const DURATIONS = ['TaskDuration', 'ScriptDuration', 'LayoutDuration', 'RecalcStyleDuration'] as const
const HEAD =
  'minute   task % script % layout %  style %  heap MiB  nodes  tasks > 50 ms  longest task ms  messages/s   load'

interface Minute {
  readonly percents: readonly number[]
  readonly heapBytes: number
  readonly nodes: number
  readonly tasks: Tasks
  readonly perSecond: number
}

/** Numbers in brackets are by the clock, the others of the processor. */
function lineOf(minute: number, { percents, heapBytes, nodes, tasks, perSecond }: Minute): string {
  const { long, longOfCpu, longest, longestOfCpu } = tasks
  const columns: readonly (readonly [string, number])[] = [
    [String(minute), 6],
    ...percents.map((percent) => [percent.toFixed(1), 8] as const),
    [(heapBytes / 2 ** 20).toFixed(1), 9],
    [String(nodes), 6],
    [`${longOfCpu} (${long})`, 14],
    [`${longestOfCpu.cpuMs.toFixed(0)} (${longest.wallMs.toFixed(0)})`, 16],
    [perSecond.toFixed(0), 11],
    [(loadavg()[0] ?? 0).toFixed(1), 6],
  ]
  return columns.map(([text, width]) => text.padStart(width)).join(' ')
}

/** The longest task of the processor, in milliseconds. */
async function measure(): Promise<number> {
  const platform = await startFleet()
  const page = await openPage(context, `${platform.url}/#access_token=${await platform.appToken()}`)
  if (page === undefined) throw new Error('there is no page')
  const watch = await TaskWatch.begin(page)
  await page.getByRole('link', { name: `All ${devices.toLocaleString('en')}` }).waitFor()
  const session = await page.context().newCDPSession(page)
  // Of the processor, and not by the clock.
  await session.send('Performance.enable', { timeDomain: 'threadTicks' })
  console.log(`${devices} devices, a message a second of each, ${minutes} min`)
  console.log(HEAD)
  let worst = 0
  for (let minute = 0, step = 0; minute < minutes; minute++) {
    const ms = Math.min(1, minutes - minute) * MINUTE_MS
    const [from, before, { accepted }] = [performance.now(), await metricsOf(session), await platform.ledger()]
    while (performance.now() < from + ms) {
      await STEPS[step++ % STEPS.length]?.(page)
      await pause(STEP_MS)
    }
    const after = await metricsOf(session)
    const seconds = (performance.now() - from) / 1_000
    const tasks = watch.take()
    worst = Math.max(worst, tasks.longestOfCpu.cpuMs)
    const said = {
      percents: DURATIONS.map((name) => (100 * ((after.get(name) ?? 0) - (before.get(name) ?? 0))) / seconds),
      heapBytes: after.get('JSHeapUsedSize') ?? 0,
      nodes: after.get('Nodes') ?? 0,
      tasks,
      perSecond: ((await platform.ledger()).accepted - accepted) / seconds,
    }
    console.log(lineOf(minute + 1, said))
  }
  await watch.stop()
  await page.close()
  return Math.max(worst, watch.take().longestOfCpu.cpuMs)
}

try {
  const worst = await measure()
  const isWell = worst <= TASK_MS_MAX
  console.log(`the longest task had the processor for ${worst.toFixed(0)} ms: ${isWell ? 'well' : 'too long'}`)
  process.exitCode = isWell ? 0 : 1
} finally {
  for (const end of ends) await end()
}
process.exit()
