/** Owns the timeline: the story of a device on one line of time, to look at, and as lines, to read. A click asks how it was then. */

import { useState } from 'preact/hooks'
import { linkWith } from '../address.ts'
import { age, clockTime, dateTime, isUtc, now } from '../time.ts'
import { count } from '../values.ts'
import { type Shown, type Span, spanOf, timeText } from './range.ts'
import { LANES, type Lane, type Piece, type Story, within } from './story.ts'

const MINUTE_MS = 60_000
/** On a phone there is room for no more. */
const TICKS_MAX = 6
/** What a label is wide, of the whole; on a phone. */
const LABEL_RATIO = 0.1
/** More are shown when they are asked for. */
const LINES_FIRST = 8
const NARROW = matchMedia('(max-width: 760px)')
const DAY_MS = 86_400_000
const TICKS_MS = [
  ...[1, 5, 10, 30].map((count) => count * 1_000),
  ...[1, 3, 5, 10, 15, 30, 60, 120, 240, 360, 720].map((count) => count * MINUTE_MS),
  ...[1, 2, 5, 10].map((count) => count * DAY_MS),
]

export function Timeline({ story, shown }: { readonly story: Story; readonly shown: Shown }) {
  const span = spanOf(shown, now.value)
  const lines = within(story.lines, span)
  const pieces = story.pieces.filter(({ from, to }) => to >= span.from && from <= span.to)
  const lanes = (Object.keys(LANES) as Lane[]).filter(
    (lane) => lane === 'connected' || pieces.some((piece) => piece.lane === lane),
  )
  return (
    <section class="card story" aria-label="Its story">
      <div class="chart" aria-hidden="true" onClick={(event) => askAt(event, span)}>
        {lanes.map((lane) => (
          <div key={lane} class={`lane ${lane}`}>
            <small>{LANES[lane].label}</small>
            <div class="track">
              {lane === 'connected' && <Before knownFrom={story.knownFrom} span={span} />}
              {pieces
                .filter((piece) => piece.lane === lane)
                .map((piece, index) => (
                  <Mark key={`${piece.from} ${index}`} piece={piece} span={span} />
                ))}
            </div>
          </div>
        ))}
        <Ticks span={span} />
        <div class="over">
          {shown.at !== undefined && shown.at >= span.from && shown.at <= span.to && (
            <i class="at" style={{ left: percent(shown.at, span) }} />
          )}
        </div>
      </div>
      <Lines lines={lines} shown={shown} others={story.lines.length - lines.length} />
    </section>
  )
}

const percent = (time: number, { from, to }: Span) =>
  `${Math.max(0, Math.min(100, (100 * (time - from)) / (to - from))).toFixed(3)}%`

function Mark({ piece: { lane, from, to, text, isTakeover }, span }: { readonly piece: Piece; readonly span: Span }) {
  const width = ((Math.min(to, span.to) - Math.max(from, span.from)) / (span.to - span.from)) * 100
  const style = { left: percent(from, span), width: `${Math.max(0, width).toFixed(3)}%` }
  return (
    <i
      class={`piece ${LANES[lane].tone} ${isTakeover ? 'takeover' : ''}`}
      style={style}
      title={`${dateTime(from)}: ${text}`}
    />
  )
}

/** Where nobody knows any more when it was connected. */
function Before({ knownFrom, span }: { readonly knownFrom: number | undefined; readonly span: Span }) {
  if (knownFrom === undefined || knownFrom <= span.from) return null
  return (
    <i
      class="unknown"
      style={{ left: '0', width: percent(knownFrom, span) }}
      title="Of this time nothing is kept any more"
    />
  )
}

function Ticks({ span }: { readonly span: Span }) {
  const step = TICKS_MS.find((each) => (span.to - span.from) / each <= TICKS_MAX) ?? span.to - span.from
  const offset = isUtc.value ? 0 : new Date(span.from).getTimezoneOffset() * MINUTE_MS
  const first = Math.ceil((span.from - offset) / step) * step + offset
  const times = Array.from({ length: TICKS_MAX }, (_, index) => first + index * step).filter(
    (time) => time < span.to - LABEL_RATIO * (span.to - span.from),
  )
  const text = (time: number) =>
    step >= DAY_MS ? dateTime(time).slice(5, 10) : dateTime(time).slice(11, step < MINUTE_MS ? 19 : 16)
  return (
    <div class="ticks">
      {times.map((time) => (
        <small key={time} style={{ left: percent(time, span) }}>
          {text(time)}
        </small>
      ))}
    </div>
  )
}

function askAt(event: MouseEvent, span: Span) {
  const track = (event.currentTarget as Element).querySelector('.track')?.getBoundingClientRect()
  if (track === undefined || event.clientX < track.left) return
  const part = Math.min(1, (event.clientX - track.left) / track.width)
  const time = span.from + part * (span.to - span.from)
  location.hash = linkWith({ at: time >= now.value - 1_000 ? undefined : timeText(Math.round(time)) })
}

interface LinesProps {
  readonly lines: Story['lines']
  readonly shown: Shown
  /** How many are not of this span. */
  readonly others: number
}

function Lines({ lines, shown, others }: LinesProps) {
  const [isOpen] = useState(NARROW.matches)
  const [isWhole, showAll] = useState(false)
  return (
    <details open={isOpen}>
      <summary>
        {lines.length === 0 ? 'Nothing happened in this time' : `What happened, as a list (${count(lines.length)})`}
      </summary>
      <ol class="lines">
        {(isWhole ? lines : lines.slice(0, LINES_FIRST)).map(({ at, tone, kind, text }, index) => (
          <li key={`${at} ${index}`}>
            <a
              href={linkWith({ at: timeText(at) })}
              aria-current={shown.at === at ? 'true' : undefined}
              aria-label={`How it was at ${dateTime(at)}`}
            >
              <time dateTime={timeText(at)}>{clockTime(at)}</time>
            </a>
            <small>{age(at)}</small>
            <span class={`state ${tone}`}>
              <i class="dot" aria-hidden="true" />
              {kind}
            </span>
            <span class="text">{text}</span>
          </li>
        ))}
      </ol>
      {!isWhole && lines.length > LINES_FIRST && (
        <button type="button" onClick={() => showAll(true)}>
          Show all {count(lines.length)}
        </button>
      )}
      {others > 0 && <p class="soft">{count(others)} more outside of this time: choose a longer one.</p>}
    </details>
  )
}
