/** What the platform tells Prometheus is well formed, and the alerts and the dashboard ask for nothing else. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { RunningPlatform } from '../e2e/platform.ts'
import { scratchDirectory } from '../scratch.ts'
import { requireProgram } from '../servers/server.ts'
import { until } from '../until.ts'

const path = (name: string) => fileURLToPath(new URL(`../../deploy/${name}`, import.meta.url))
const ALERTS = path('prometheus/alerts.yml')
const DASHBOARD = path('grafana/dashboards/platform.json')

/** Runs promtool; what it says if it is not content. Undefined if it is not installed. */
function promtool(t: TestContext, args: readonly string[], input?: string): string | undefined {
  const program = requireProgram(t, 'promtool', 'apt install prometheus')
  if (program === undefined) return undefined
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', ...(input && { input }) })
  return status === 0 ? '' : stdout + stderr
}

function expressions(): string[] {
  const { groups } = parse(readFileSync(ALERTS, 'utf8'))
  const alerts = groups.flatMap(({ rules }: { rules: { expr: string }[] }) => rules.map(({ expr }) => expr))
  const { panels } = JSON.parse(readFileSync(DASHBOARD, 'utf8'))
  return [
    ...alerts,
    ...panels.flatMap(({ targets }: { targets: { expr: string }[] }) => targets.map(({ expr }) => expr)),
  ]
}

test('/metrics is as Prometheus wants it, and has all that alerts and dashboard ask for', async (t) => {
  const platform = await RunningPlatform.start(t)
  await platform.simulate('--devices', '2', '--messages', '20', '--rate', '0')
  await platform.settled()
  const text = await (await fetch(`${platform.url}/metrics`)).text()
  const names = new Set([...text.matchAll(/^([a-z_0-9]+)[ {]/gm)].map(([, name]) => name))
  const families = new Set([...text.matchAll(/^# TYPE ([a-z_0-9]+) /gm)].map(([, name]) => name))
  for (const expression of expressions()) {
    for (const [name] of expression.matchAll(/\b(telltale|process|nodejs)_[a-z_0-9]+\b/g)) {
      assert(names.has(name) || families.has(name), `${name} is in no answer of /metrics: ${expression}`)
    }
  }
  const [, count] = /^telltale_broker_puback_seconds_count (\d+)$/m.exec(text) ?? []
  assert.equal(count, '20')
  assert.match(text, /^telltale_build_info\{version="\d+\.\d+\.\d+",node="v\d+[^"]*"\} 1$/m)
  assert.match(text, /^telltale_broker_connects_total 2$/m)
  const complaint = promtool(t, ['check', 'metrics'], text)
  if (complaint !== undefined) assert.equal(complaint, '')
})

test('the oldest message that is not stored has its age told, until it is stored', async (t) => {
  const platform = await RunningPlatform.start(t, {
    store: { kind: 'influx', url: 'http://127.0.0.1:9', token: '', org: 'o', bucket: 'b', api: 'v2' },
  })
  const age = async () => {
    const text = await (await fetch(`${platform.url}/metrics`)).text()
    return Number(/^telltale_ledger_oldest_pending_seconds (\S+)$/m.exec(text)?.[1])
  }
  assert.equal(await age(), 0)
  await platform.simulate('--devices', '1', '--messages', '2', '--rate', '0')
  await until(async () => (await age()) > 0.01)
})

test('the alerts are what promtool takes, and fire when they should', (t) => {
  const problem = promtool(t, ['check', 'rules', ALERTS])
  if (problem === undefined) return
  assert.equal(problem, '')
  const series = (name: string, values: string) => ({ series: `${name}`, values })
  const on = 'instance="a",job="telltale"'
  const ledger = (state: string, values: string) => series(`telltale_ledger_messages{${on},state="${state}"}`, values)
  const fires = (alertname: string, at: string, labels: object | undefined) => ({
    eval_time: at,
    alertname,
    exp_alerts: labels === undefined ? [] : [{ exp_labels: { instance: 'a', job: 'telltale', ...labels } }],
  })
  const cases = {
    rule_files: [ALERTS],
    evaluation_interval: '1m',
    tests: [
      {
        interval: '1m',
        input_series: [
          series(`telltale_log_full{${on}}`, '0 1x10'),
          ledger('accepted', '100 100 100 101x10'),
          ledger('stored', '90x20'),
          ledger('dead_lettered', '5x20'),
          ledger('pending', '5x20'),
        ],
        alert_rule_test: [
          fires('TelltaleLogFull', '0m', undefined),
          fires('TelltaleLedgerUnbalanced', '2m', undefined),
        ],
      },
    ],
  }
  const file = join(scratchDirectory(t), 'alerts.test.yml')
  const annotated = JSON.stringify(cases)
  writeFileSync(file, annotated)
  assert.equal(promtool(t, ['test', 'rules', file]), '')
  // The same, a few minutes later: promtool says what fires, with its annotations.
  for (const [alert, at] of [
    ['TelltaleLogFull', '3m'],
    ['TelltaleLedgerUnbalanced', '5m'],
  ] as const) {
    const [one] = cases.tests
    const later = { ...cases, tests: [{ ...one, alert_rule_test: [fires(alert, at, undefined)] }] }
    writeFileSync(file, JSON.stringify(later))
    assert.match(promtool(t, ['test', 'rules', file]) ?? '', new RegExp(`alertname="${alert}"`))
  }
})
