/** Owns what the run was asked to do: the fleet, and the scenario whole, so that it can be asked again. */

import type { RunRecord } from '../../kept/run-folder.ts'
import type { Group, Sending } from '../../scenario/scenario.ts'
import { count, seconds } from '../numbers.ts'
import type { Summary } from '../summary.ts'
import { card, element, table } from './element.ts'

export function asked({ scenario }: RunRecord, { seed, startAt, payloadHash, streams }: Summary): HTMLElement {
  const facts: readonly (readonly [string, string])[] = [
    ['seed', String(seed)],
    ['first readings of', startAt],
    ['for', scenario.durationMs === null ? 'until it is ended' : seconds(scenario.durationMs)],
    ['ramp', scenario.rampMs > 0 ? seconds(scenario.rampMs) : 'none'],
    ['streams', streams.join(', ')],
    ['hash of all payloads', payloadHash],
  ]
  const rows = scenario.fleet.flatMap((group) => group.sends.map((sending) => row(group, sending)))
  return card(
    'asked',
    'What was asked',
    element(
      'dl',
      { class: 'facts' },
      ...facts.map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value))),
    ),
    table({
      caption: 'The fleet: which devices send what, how often and how',
      columns: ['devices', 'stream', 'each', 'how', 'by'],
      rows,
    }),
    element(
      'details',
      {},
      element('summary', {}, 'The scenario, with its seed and start: the same sends the same bytes'),
      element(
        'pre',
        { tabindex: 0, role: 'region', 'aria-label': 'The scenario as JSON' },
        JSON.stringify(scenario, null, 2),
      ),
    ),
  )
}

function row({ prefix, devices, mqtt }: Group, sending: Sending): string[] {
  const { stream, everyMs, burst, qos, batch, format, versions } = sending
  const often = everyMs > 0 ? `every ${seconds(everyMs, 3)}` : 'as fast as acknowledged'
  const how = [
    format,
    versions && `version ${versions.join(' or ')}`,
    batch > 1 && `${count(batch)} readings a message`,
    burst > 1 && `${count(burst)} messages at once`,
  ].filter(Boolean)
  return [`${count(devices)} × ${prefix}…`, stream, often, how.join(', '), `MQTT ${mqtt}, QoS ${qos}`]
}
