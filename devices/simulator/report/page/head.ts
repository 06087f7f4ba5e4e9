/** Owns the top of the report: what the run has shown, and the numbers that are asked for first. */

import type { Percentiles } from '../../fleet/timing.ts'
import { count, counted, mebibytes, ms, seconds } from '../numbers.ts'
import type { Summary } from '../summary.ts'
import { verdictOf } from '../verdict.ts'
import { element } from './element.ts'

export function head(summary: Summary): HTMLElement[] {
  return [
    element(
      'header',
      {},
      logo(),
      element('span', { class: 'brand' }, 'Telltale'),
      element('span', { class: 'soft' }, 'a simulated run'),
    ),
    verdict(summary),
    element('dl', { class: 'figures' }, ...figures(summary)),
  ]
}

function verdict(summary: Summary): HTMLElement {
  const { ok, sentence } = verdictOf(summary)
  const { scenario, url, startAt, elapsedMs, devices, processes } = summary
  const isAsked = summary.verification !== undefined
  const word = ok ? (isAsked ? 'It holds' : 'It was delivered') : 'It does not hold'
  const when = `${startAt.slice(0, 16).replace('T', ' ')} UTC, ${seconds(elapsedMs)}`
  const by = `${counted(devices, 'device')}, ${processes === 1 ? '1 process' : `${count(processes)} processes`}`
  return element(
    'section',
    { class: `verdict ${ok ? 'good' : 'bad'}`, 'aria-label': 'Verdict' },
    element('h1', {}, scenario),
    element('p', { class: 'word' }, element('span', { 'aria-hidden': 'true' }, ok ? '✓ ' : '✗ '), word),
    element('p', { class: 'sentence' }, `${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}.`),
    element('p', { class: 'soft' }, [when, by, url].join(' · ')),
  )
}

function figures(summary: Summary): HTMLElement[] {
  const { acknowledged, toAcknowledge, messagesPerSecond, targetRate, replay, latencyMs, liveMs, slipMs, cost } =
    summary
  const free = replay === undefined ? 'as fast as acknowledged' : 'as it was recorded'
  const asked = targetRate > 0 ? `of ${count(targetRate)}/s asked for` : free
  return [
    figure('Acknowledged', count(acknowledged), `of ${count(toAcknowledge)}`),
    figure('Rate', `${count(messagesPerSecond)}/s`, asked),
    ...timeFigure('PUBACK p99', latencyMs),
    ...timeFigure('Live p99', liveMs),
    ...timeFigure('Sent late p99', slipMs),
    figure('The simulator took', `${cost.cpuSeconds.toFixed(1)} s CPU`, mebibytes(cost.rssBytesMax)),
  ]
}

const timeFigure = (name: string, found: Percentiles | undefined): HTMLElement[] =>
  found ? [figure(name, ms(found.p99), `p50 ${ms(found.p50)}, max ${ms(found.max)}`)] : []

const figure = (name: string, value: string, beside: string): HTMLElement =>
  element(
    'div',
    { class: 'card' },
    element('dt', {}, name),
    element('dd', { class: 'value' }, value),
    element('dd', { class: 'soft' }, beside),
  )

const SVG = 'http://www.w3.org/2000/svg'

function logo(): SVGElement {
  const svg = document.createElementNS(SVG, 'svg')
  svg.setAttribute('viewBox', '0 0 16 16')
  svg.setAttribute('class', 'logo')
  svg.setAttribute('aria-hidden', 'true')
  const path = document.createElementNS(SVG, 'path')
  path.setAttribute('d', 'M1 9h3l2-5 3 9 2-6 1 2h3')
  svg.append(path)
  return svg
}
