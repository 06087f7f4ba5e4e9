/** Owns the page of one device: the answer on top, then its story and what it measured, and beside them what is known of it. */

import { useEffect, useMemo, useRef } from 'preact/hooks'
import { address, linkTo } from '../address.ts'
import type { DeviceRecord, Why } from '../answers.ts'
import { useAnswer } from '../gateway.ts'
import { clock, now } from '../time.ts'
import { Answer, Unknown } from './answer.tsx'
import { Commands } from './commands.tsx'
import { Facts } from './facts.tsx'
import { Plots } from './plots.tsx'
import { shownOf, timeText } from './range.ts'
import { RangeChoice } from './range-choice.tsx'
import { storyOf } from './story.ts'
import { Timeline } from './timeline.tsx'
import './device.css'

const EVERY_MS = 5_000

export function DevicePage({ device }: { readonly device: string }) {
  const { query } = address.value
  const shown = useMemo(() => shownOf(query, now.peek()), [query])
  const { at } = shown
  const path = `v1/devices/${encodeURIComponent(device)}`
  const record = useAnswer<DeviceRecord>(path, EVERY_MS)
  const asked = at === undefined ? '' : `?at=${encodeURIComponent(timeText(at))}`
  const why = useAnswer<Why>(`${path}/why${asked}`, at === undefined ? EVERY_MS : undefined)
  const story = useMemo(
    () => record.value && storyOf(record.value, why.value?.evidence ?? [], now.peek()),
    [record.value, why.value],
  )
  const ahead = useAhead(why.value)
  // The answer is what was asked for, and may be out of sight.
  useEffect(() => {
    if (at !== undefined) scrollTo({ top: 0, behavior: 'smooth' })
  }, [at])
  const failed = record.error ?? why.error
  if (failed !== undefined && failed.status !== 0 && record.value === undefined) {
    return <Unknown device={device} error={failed} />
  }
  return (
    <div class="device">
      <a class="back" href={linkTo(['devices'])}>
        All devices
      </a>
      <Answer device={device} record={record.value} why={why.value} at={at} />
      {why.error && why.error.status !== 0 && <p class="bad">{why.error.message}.</p>}
      <Jumps />
      <div class="device-columns">
        <div class="measured">
          <RangeChoice shown={shown} />
          {story && <Timeline story={story} shown={shown} />}
          {record.value && ahead !== undefined && <Plots record={record.value} shown={shown} gatewayAheadMs={ahead} />}
        </div>
        <div class="known">
          {record.value && <Facts record={record.value} isPast={at !== undefined} />}
          <Commands device={device} />
        </div>
      </div>
    </div>
  )
}

/** How far the gateway's clock is ahead of the one here, as it was found first. */
function useAhead(why: Why | undefined): number | undefined {
  const ahead = useRef<number>(undefined)
  if (why !== undefined) ahead.current ??= why.at - clock()
  return ahead.current
}

/** On a phone these lie below all plots. */
function Jumps() {
  const jump = (id: string) => document.getElementById(id)?.scrollIntoView()
  return (
    <div class="jumps">
      <button type="button" onClick={() => jump('facts')}>
        Facts
      </button>
      <button type="button" onClick={() => jump('commands')}>
        Commands
      </button>
    </div>
  )
}
