/** Owns the way of a message, from the device to whoever reads it, drawn with what was found at each stage, and the findings one by one. */

import { count, counted } from '../numbers.ts'
import { type Finding, STAGES, type Stage, type Summary, type Verification } from '../summary.ts'
import { findingTitle, worstFirst } from '../verdict.ts'
import { card, element, state } from './element.ts'

type Place = 'devices' | Stage
/** As a person goes along it; on a phone one below the other. Live branches off behind the log, dead letters behind ingest. */
const WAY: readonly Place[] = [
  'devices',
  'broker',
  'log',
  'live',
  'ingest',
  'dead-letters',
  'store',
  'history',
  'books',
]

const TITLES: Readonly<Record<Place, string>> = {
  devices: 'Devices',
  broker: 'Broker',
  log: 'Log',
  live: 'Live',
  ingest: 'Ingest',
  'dead-letters': 'Dead letters',
  store: 'Store',
  history: 'History',
  books: 'Books',
}

export function way(summary: Summary): HTMLElement {
  const findings = worstFirst(summary.verification?.findings ?? [])
  const places = WAY.map((place) => stage(place, summary, findings))
  return card(
    'way',
    'Where it went',
    element('ol', { class: 'way', 'aria-label': 'The way of a message, stage by stage' }, ...places),
    nobodyAsked(summary.verification),
    findings.length > 0 && element('ol', { class: 'findings' }, ...findings.map(finding)),
  )
}

function nobodyAsked(verification: Verification | undefined): HTMLElement | false {
  const soft = (sentence: string) => element('p', { class: 'soft' }, sentence)
  if (verification === undefined) return soft('Nobody asked the store, the dead letters or the books: --verify does.')
  if (verification.subscription === undefined) return false
  return soft(
    'The broker is not one of Telltale: what it acknowledged was looked for at a subscriber, and no store was asked.',
  )
}

function stage(place: Place, summary: Summary, findings: readonly Finding[]): HTMLElement {
  const here = findings.filter((each) => each.stage === place)
  const kind = here.length > 0 ? 'bad' : isAsked(place, summary) ? 'good' : 'idle'
  const words = here.map((each) =>
    element('a', { href: `#finding-${findings.indexOf(each)}`, class: 'bad' }, findingName(each)),
  )
  return element(
    'li',
    { class: `stage ${kind}`, 'data-stage': place },
    element('b', {}, TITLES[place]),
    element('small', {}, passed(place, summary)),
    here.length > 0 ? element('span', { class: 'found' }, ...words) : state(kind, WORDS[kind]),
  )
}

const WORDS = { good: 'nothing wrong', bad: '', idle: 'not asked' } as const

/** Without the stage, at which it stands. */
const findingName = (each: Finding): string => findingTitle(each).replace(/ (at|in) .*$/, '')

function isAsked(place: Place, { verification, toAcknowledge, unacknowledged, unsent }: Summary): boolean {
  if (place === 'devices') return unsent === 0
  if (place === 'broker' && verification === undefined) return toAcknowledge > 0 && unacknowledged === 0
  if (verification?.subscription !== undefined) return place === 'broker'
  if (place === 'live') return (verification?.live.expected ?? 0) > 0
  return verification !== undefined
}

/** How much came by. */
function passed(place: Place, summary: Summary): string {
  if (place === 'devices') return `${count(summary.sent)} sent`
  if (place === 'broker') return `${count(summary.acknowledged)} acknowledged`
  return summary.verification ? passedVerified(place, summary.verification) : WHAT[place]
}

function passedVerified(place: Exclude<Place, 'devices' | 'broker'>, verification: Verification): string {
  if (verification.subscription !== undefined) return WHAT[place]
  if (place === 'store') return `${counted(verification.stored, 'reading')} stored`
  if (place === 'dead-letters') return `${count(verification.deadLettered)} as intended`
  if (place === 'live' && verification.live.expected > 0)
    return `${counted(verification.live.received, 'reading')} came`
  return WHAT[place]
}

const WHAT: Readonly<Record<Exclude<Place, 'devices' | 'broker'>, string>> = {
  log: 'on disk',
  live: 'to apps',
  ingest: 'into points',
  'dead-letters': 'what cannot be read',
  store: 'what is kept',
  history: 'what is asked for',
  books: 'the sums of all stages',
} satisfies Record<Exclude<Stage, 'broker'>, string>

function finding(each: Finding, index: number): HTMLElement {
  const left = each.count - each.examples.length
  const examples = each.examples.map((example) => element('li', {}, element('code', {}, example)))
  if (examples.length > 0 && left > 0) examples.push(element('li', { class: 'soft' }, `and ${count(left)} more`))
  return element(
    'li',
    { id: `finding-${index}`, tabindex: -1 },
    element('h3', { class: 'bad' }, findingTitle(each)),
    element('p', {}, each.sentence),
    examples.length > 0 && element('ul', {}, ...examples),
  )
}

/** Each stage has its place on the way. */
export const isComplete = STAGES.every((each) => WAY.includes(each))
