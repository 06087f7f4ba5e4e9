/** Owns how one device looks in the list. */

import { linkTo } from '../address.ts'
import type { DeviceListing } from '../answers.ts'
import { StateMark } from '../state-mark.tsx'
import { columnOf } from '../streams.ts'
import { age } from '../time.ts'
import { shown, unitSign } from '../values.ts'
import { valuesOf } from './live-values.ts'
import { labelsOf } from './selection.ts'

const VALUES_SHOWN = 4

interface Props {
  readonly listing: DeviceListing
  readonly index: number
  readonly count: number
  readonly top: number
}

export function DeviceRow({ listing, index, count, top }: Props) {
  const { device, state, sentence, site, labels, lastSeen } = listing
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
        <span class="sentence">{sentence}</span>
        <LastValues device={device} />
      </a>
    </li>
  )
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
