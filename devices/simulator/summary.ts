/** Owns the account of a finished run: its numbers, the thresholds they are held to, and how both are shown. */

import { printable } from '../../platform/printable.ts'
import type { SimulatorOptions, Thresholds } from './options.ts'
import type { Reason, Tally } from './tally.ts'

export interface ThresholdResult {
  readonly name: string
  readonly limit: number
  readonly value: number
  readonly held: boolean
}

/** The keys are those of `--json`. */
export interface Summary {
  readonly url: string
  readonly stream: string
  readonly devices: number
  readonly seed: number
  /** The version of MQTT. */
  readonly mqtt: string
  readonly qos: number
  readonly format: string
  readonly batch: number
  /** Messages a second asked of all devices; 0 for as fast as acknowledgements allow. */
  readonly targetRate: number
  /** From the first message's due time to the last acknowledgement. */
  readonly elapsedMs: number
  readonly sent: number
  readonly readings: number
  /** PUBACK or PUBCOMP received; 0 with QoS 0, which has none. */
  readonly acknowledged: number
  /** Sent with QoS 1 or 2 and not acknowledged by the end. */
  readonly unacknowledged: number
  readonly resent: number
  readonly messagesPerSecond: number
  readonly reconnects: number
  /** Commands that the devices got and acknowledged. */
  readonly commands: number
  /** By code, from the devices' errors topics. */
  readonly errors: Readonly<Record<string, number>>
  /** By packet and code, of MQTT 5: why messages were acknowledged and dropped, and connections ended. */
  readonly reasons: readonly Reason[]
  /** From PUBLISH to PUBACK (QoS 1) or PUBCOMP (QoS 2), milliseconds; absent without acknowledgements. */
  readonly latencyMs?: { readonly p50: number; readonly p99: number; readonly max: number }
  readonly thresholds: readonly ThresholdResult[]
  /** Which device was refused when it came back, and why: it ended the run. */
  readonly refused?: string
  /** Every threshold is held, nothing is left unacknowledged, and no device was refused. */
  readonly ok: boolean
}

export function summarize(options: SimulatorOptions, tally: Tally, elapsedMs: number, refused?: string): Summary {
  const unacknowledged = options.qos === 0 ? 0 : tally.sent - tally.acknowledged
  const delivered = options.qos === 0 ? tally.sent : tally.acknowledged
  const messagesPerSecond = elapsedMs > 0 ? (delivered * 1000) / elapsedMs : 0
  const latencyMs = tally.latency()
  const thresholds = judge(options.thresholds, {
    p99: latencyMs?.p99 ?? Number.POSITIVE_INFINITY,
    errors: tally.errorCount(),
    rate: messagesPerSecond,
  })
  return {
    url: options.url,
    stream: options.stream,
    devices: options.devices,
    seed: options.seed,
    mqtt: options.mqtt,
    qos: options.qos,
    format: options.format,
    batch: options.batch,
    targetRate: options.devices * options.rate,
    elapsedMs,
    sent: tally.sent,
    readings: tally.readings,
    acknowledged: tally.acknowledged,
    unacknowledged,
    resent: tally.resent,
    messagesPerSecond,
    reconnects: tally.reconnects,
    commands: tally.commands,
    errors: tally.errors(),
    reasons: tally.reasons(),
    ...(latencyMs && { latencyMs }),
    thresholds,
    ...(refused !== undefined && { refused }),
    ok: refused === undefined && unacknowledged === 0 && thresholds.every((each) => each.held),
  }
}

function judge(thresholds: Thresholds, found: { p99: number; errors: number; rate: number }): ThresholdResult[] {
  const { maxP99Ms, maxErrors, minRate } = thresholds
  const results: ThresholdResult[] = []
  if (maxP99Ms !== undefined)
    results.push({ name: 'max-p99', limit: maxP99Ms, value: found.p99, held: found.p99 <= maxP99Ms })
  if (maxErrors !== undefined)
    results.push({ name: 'max-errors', limit: maxErrors, value: found.errors, held: found.errors <= maxErrors })
  if (minRate !== undefined)
    results.push({ name: 'min-rate', limit: minRate, value: found.rate, held: found.rate >= minRate })
  return results
}

const count = (value: number) => value.toLocaleString('en-US', { maximumFractionDigits: 0 })
const ms = (value: number) => `${value.toFixed(value < 10 ? 2 : 1)} ms`

/** Lines for a person, the last without a newline. */
export function summaryText(summary: Summary): string {
  const { latencyMs } = summary
  const rows: [string, string][] = [
    [
      'devices',
      `${count(summary.devices)} on ${summary.stream}, MQTT ${summary.mqtt}, QoS ${summary.qos}, ${summary.format}, seed ${summary.seed}`,
    ],
    [
      'sent',
      `${count(summary.sent)} messages, ${count(summary.readings)} readings in ${(summary.elapsedMs / 1000).toFixed(2)} s`,
    ],
  ]
  if (summary.qos > 0) {
    const missing = summary.unacknowledged > 0 ? `, ${count(summary.unacknowledged)} NOT acknowledged` : ''
    const again = summary.resent > 0 ? `, ${count(summary.resent)} sent again` : ''
    rows.push(['acknowledged', `${count(summary.acknowledged)}${missing}${again}`])
  }
  const asked = summary.targetRate > 0 ? ` of ${count(summary.targetRate)} asked for` : ''
  rows.push(['rate', `${count(summary.messagesPerSecond)} messages/s${asked}`])
  if (latencyMs) {
    const { p50, p99, max } = latencyMs
    const name = summary.qos === 2 ? 'PUBCOMP after' : 'PUBACK after'
    rows.push([name, `p50 ${ms(p50)}, p99 ${ms(p99)}, max ${ms(max)}`])
  }
  rows.push(['reconnects', count(summary.reconnects)])
  if (summary.commands > 0) rows.push(['commands', `${count(summary.commands)} got and acknowledged`])
  const errors = Object.entries(summary.errors).map(([code, times]) => `${printable(code)} ${count(times)}`)
  rows.push(['errors', errors.length > 0 ? errors.join(', ') : 'none'])
  for (const { by, code, count: times, words } of summary.reasons) {
    rows.push([by, `0x${code.toString(16)} ${count(times)}${words === '' ? '' : `: ${printable(words)}`}`])
  }
  for (const { name, limit, value, held } of summary.thresholds) {
    const shown = Number.isFinite(value) ? value.toFixed(value < 10 ? 2 : 0) : 'none measured'
    rows.push([`--${name} ${limit}`, `${held ? 'held' : 'MISSED'}: ${shown}`])
  }
  if (summary.refused !== undefined) rows.push(['ended', printable(summary.refused)])
  return rows.map(([name, value]) => `${name.padEnd(22)}${value}`).join('\n')
}
