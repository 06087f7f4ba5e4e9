/** Owns which alerts are listed: what the address says, of those that the gateway has. Pure. */

import type { Alert } from '../answers.ts'

export interface WantedAlerts {
  readonly rule?: string
  readonly device?: string
  /** In the sentence, the device or the rule; in any case. */
  readonly text: string
}

export function wantedAlertsOf(query: URLSearchParams): WantedAlerts {
  const [rule, device] = [query.get('rule'), query.get('device')]
  return { ...(rule && { rule }), ...(device && { device }), text: (query.get('find') ?? '').trim().toLowerCase() }
}

export interface SelectedAlerts {
  readonly firing: readonly Alert[]
  readonly over: readonly Alert[]
  /** Of those that fit but for their rule: how many are firing, by rule; 0 where one is over. */
  readonly byRule: ReadonlyMap<string, number>
  readonly firingOfAll: number
}

export function selectAlerts(alerts: readonly Alert[], wanted: WantedAlerts): SelectedAlerts {
  const fitting = alerts.filter((alert) => fits(alert, wanted))
  const byRule = new Map<string, number>()
  for (const { rule, state } of fitting) byRule.set(rule, (byRule.get(rule) ?? 0) + (state === 'firing' ? 1 : 0))
  const chosen = wanted.rule === undefined ? fitting : fitting.filter(({ rule }) => rule === wanted.rule)
  return {
    firing: chosen.filter(({ state }) => state === 'firing'),
    over: chosen.filter(({ state }) => state !== 'firing'),
    byRule: new Map([...byRule].sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }))),
    firingOfAll: fitting.filter(({ state }) => state === 'firing').length,
  }
}

function fits({ device, rule, sentence }: Alert, wanted: WantedAlerts): boolean {
  if (wanted.device !== undefined && device !== wanted.device) return false
  return [device ?? '', rule, sentence].some((text) => text.toLowerCase().includes(wanted.text))
}
