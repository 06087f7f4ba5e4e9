/**
 * Owns how large a fleet may be: devices that each send a message a second beside a whole platform with its embedded store, on the cores of this machine, by
 * one process and by two. What counts is slip, by which the simulator itself was late; a run that does not hold is no measure.
 */

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Percentiles } from '../devices/simulator/fleet/timing.ts'
import type { Summary } from '../devices/simulator/report/summary.ts'
import { verdictOf } from '../devices/simulator/report/verdict.ts'
import { type Figure, figure } from './figure.ts'
import type { Plan } from './plan.ts'
import { Telltale } from './telltale.ts'

const CLI = fileURLToPath(new URL('../cli/telltale.js', import.meta.url))
const RAMP_SECONDS = 20
const SUMMARY_BYTES_MAX = 2 ** 24
const US_PER_MS = 1000

export async function measureScale(plan: Plan): Promise<Figure[]> {
  const figures: Figure[] = []
  for (const processes of [1, 2]) figures.push(...(await measureBy(processes, plan)))
  return figures
}

async function measureBy(processes: number, plan: Plan): Promise<Figure[]> {
  const { simulatedDevices: devices, simulatedSeconds: seconds } = plan
  const telltale = await Telltale.start('broker,ingest,gateway')
  try {
    const before = telltale.cpuMs()
    const { sent, slipMs, latencyMs, liveMs, cost } = await telltale.during(() => run(telltale, processes, plan))
    const platformMs = telltale.cpuMs() - before
    const name = (what: string) => `${devices} devices, ${processes === 1 ? '1 process' : '2 processes'}: ${what}`
    const note = `one message a second of each for ${seconds} s, after a ramp of ${RAMP_SECONDS} s, verified`
    return [
      figure(name('sent late by, p99'), 'ms', [p99(slipMs)], { note }),
      figure(name('sent late by, max'), 'ms', [slipMs?.max ?? Number.NaN]),
      figure(name('PUBACK p99'), 'ms', [p99(latencyMs)], { note: 'from when a message was due' }),
      figure(name('live p99'), 'ms', [p99(liveMs)]),
      figure(name('simulator'), 'us CPU/msg', [(cost.cpuSeconds * US_PER_MS * US_PER_MS) / sent], {
        note: 'with connecting, an app, and verifying',
      }),
      figure(name('platform'), 'us CPU/msg', [(platformMs * US_PER_MS) / sent], {
        note: 'with connecting, and what is asked of it',
      }),
    ]
  } finally {
    await telltale.stop()
  }
}

const p99 = (percentiles: Percentiles | undefined): number => percentiles?.p99 ?? Number.NaN

async function run(telltale: Telltale, processes: number, plan: Plan): Promise<Summary> {
  const args = ['simulate', '--devices', String(plan.simulatedDevices), '--rate', '1', '--ramp', `${RAMP_SECONDS}s`]
  args.push('--duration', `${RAMP_SECONDS + plan.simulatedSeconds}s`, '--processes', String(processes))
  args.push('--verify', '--json', '--out', join(telltale.dataDirectory, `run-${processes}`))
  const env = { PATH: process.env.PATH, ...telltale.settings }
  const running = promisify(execFile)(process.execPath, [CLI, ...args], { env, maxBuffer: SUMMARY_BYTES_MAX })
  // One that does not hold exits 1, and has a summary all the same.
  const { stdout, stderr } = await running.catch((error: { stdout: string; stderr: string }) => error)
  if (stdout === '') throw new Error(`the simulator has ended: ${stderr}`)
  const summary = JSON.parse(stdout) as Summary
  if (!summary.ok) throw new Error(`a run did not hold: ${verdictOf(summary).sentence}`)
  return summary
}
