/** Owns how one device looks in the list: one that has a problem with why, one that is well with what it sent last. */

import { linkTo } from '../address.ts'
import type { DeviceListing } from '../answers.ts'
import { StateMark } from '../state-mark.tsx'
import { isWell } from '../states.ts'
import { columnOf } from '../streams.ts'
import { age, inOwnTime } from '../time.ts'
import { shown, unitSign } from '../values.ts'
import { type Values, valuesOf } from './live-values.ts'
import { labelsOf } from './selection.ts'

const VALUES_SHOWN = 4

interface Props {
  readonly listing: DeviceListing
  readonly index: number
  readonly count: number
  readonly top: number
}

export function DeviceRow({ listing, index, count, top }: Props) {
  const { device, state, site, labels } = listing
  const lastSeen = newest(listing.lastSeen, valuesOf(device).value)
  const place = [site, ...labelsOf(labels)].filter(Boolean).join(' · ')
  return (
    <li class="device-row" style={{ top: `${top}px` }} aria-setsize={count} aria-posinset={index + 1}>
      <a href={linkTo(['devices', device])}>
        <span class="who">
          <b>{device}</b>
          {place && <small>{place}</small>}
        </span>
        <StateMark state={state} />
        <span class="seen">{lastSeen === undefined ? 'never seen' : age(lastSeen)}</span>
        {isWell(listing) ? <LastValues device={device} /> : <span class="sentence">{shortened(listing)}</span>}
      </a>
    </li>
  )
}

/** What came live is newer than the list, which is some seconds old. */
function newest(lastSeen: number | undefined, values: Values): number | undefined {
  let time = lastSeen
  for (const { received } of values.values()) if (received !== undefined && received > (time ?? 0)) time = received
  return time
}

/** Its name stands before it already. */
function shortened({ device, sentence }: DeviceListing): string {
  const rest = sentence.startsWith(`${device} `) ? sentence.slice(device.length + 1) : sentence
  return inOwnTime(rest.charAt(0).toUpperCase() + rest.slice(1))
}

function LastValues({ device }: { readonly device: string }) {
  const values = [...valuesOf(device).value.values()].flatMap(({ stream, values }) =>
    Object.entries(values).map(([name, value]) => ({ stream, name, value })),
  )
  const numbers = values.filter(({ value }) => typeof value === 'number')
  return (
    <span class="values">
      {numbers.slice(0, VALUES_SHOWN).map(({ stream, name, value }) => (
        <span key={`${stream} ${name}`}>
          <small>{name.replaceAll('_', ' ')}</small> {shown(value)}
          <small> {unitSign(columnOf(stream, name)?.unit)}</small>
        </span>
      ))}
    </span>
  )
}
