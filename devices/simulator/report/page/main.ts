/** Owns the report of a run, from the data that stands in the page to the whole of it. */

import type { ReportData } from '../report-data.ts'
import { asked } from './asked.ts'
import { books } from './books.ts'
import { faults, thresholds } from './checks.ts'
import { distribution } from './distribution.ts'
import { element } from './element.ts'
import { head } from './head.ts'
import './report.css'
import { timeline } from './timeline.ts'
import { way } from './way.ts'

function draw(place: HTMLElement, data: ReportData): void {
  const { summary, run } = data
  const bySecond = timeline(data)
  const byShare = distribution(data)
  const [header, ...top] = head(summary)
  const parts = [
    ...top,
    way(summary),
    books(summary),
    bySecond.section,
    byShare.section,
    faults(summary),
    thresholds(summary),
    asked(run, summary),
  ]
  const main = element('main', { id: 'main', tabindex: -1 }, ...parts)
  place.append(element('a', { class: 'skip', href: '#main' }, 'Skip to the verdict'), header ?? '', main)
  for (const chart of [...bySecond.charts, ...byShare.charts]) chart.draw()
  document.title = `${summary.ok ? '✓' : '✗'} ${summary.scenario}: a simulated run`
}

/** Paper is white, and folds nothing. */
function prepareForPaper(): void {
  let unfolded: HTMLDetailsElement[] = []
  addEventListener('beforeprint', () => {
    document.documentElement.dataset.paper = ''
    const folded = document.querySelectorAll<HTMLDetailsElement>('details:not([open])')
    for (const each of folded) each.open = true
    unfolded = [...unfolded, ...folded]
  })
  addEventListener('afterprint', () => {
    delete document.documentElement.dataset.paper
    for (const each of unfolded) each.open = false
    unfolded = []
  })
}

const place = document.getElementById('report')
const text = document.getElementById('run')?.textContent ?? ''
if (place && text !== '') {
  // Before the charts, which draw in the colours of then.
  prepareForPaper()
  draw(place, JSON.parse(text) as ReportData)
}
