/** Owns the view of all devices: those that have a problem first, and each with what is wrong. */

import { useMemo, useRef } from 'preact/hooks'
import { address, linkTo } from '../address.ts'
import { isNarrow } from '../narrow.ts'
import { count } from '../values.ts'
import { DeviceRow } from './device-row.tsx'
import { Filters } from './filters.tsx'
import { fleet, useFleet } from './fleet.ts'
import { useLiveValues } from './live-values.ts'
import { type Selected, select, wantedOf } from './selection.ts'
import { useVisibleRows } from './visible-rows.ts'
import './devices.css'

/** As `devices.css` has them, in pixels; the second where a row has two lines. */
const ROW_PX = { wide: 52, narrow: 76 }

export function DeviceList() {
  useFleet()
  const known = fleet.value
  const { query } = address.value
  const wanted = useMemo(() => wantedOf(query), [query])
  const selected = useMemo(() => known && select(known.devices, wanted), [known, wanted])
  if (known === undefined || selected === undefined) return <p class="soft">Asking for the devices</p>
  if (known.devices.length === 0) return <NoDevices />
  return (
    <>
      <h1 class="sr-only">Devices</h1>
      <Filters devices={known.devices} wanted={wanted} selected={selected} />
      {known.isCut && <p class="soft">These are the first {count(known.devices.length)}: there are more.</p>}
      {selected.devices.length === 0 ? (
        <p class="soft">
          No device fits. <a href={linkTo(['devices'])}>Show all</a>
        </p>
      ) : (
        <Rows selected={selected} />
      )}
    </>
  )
}

function Rows({ selected: { devices } }: { readonly selected: Selected }) {
  const list = useRef<HTMLOListElement>(null)
  const rowPx = isNarrow.value ? ROW_PX.narrow : ROW_PX.wide
  const { first, end } = useVisibleRows(list, devices.length, rowPx)
  const inSight = devices.slice(first, end)
  useLiveValues(inSight.map(({ device }) => device))
  return (
    <ol class="device-list" ref={list} style={{ height: `${devices.length * rowPx}px` }} onKeyDown={step}>
      {inSight.map((listing, offset) => (
        <DeviceRow
          key={listing.device}
          listing={listing}
          index={first + offset}
          count={devices.length}
          top={(first + offset) * rowPx}
        />
      ))}
    </ol>
  )
}

/** The arrows go from row to row. */
function step(event: KeyboardEvent) {
  const row = (event.target as Element).closest('li')
  const next =
    event.key === 'ArrowDown' ? row?.nextElementSibling : event.key === 'ArrowUp' ? row?.previousElementSibling : null
  const link = next?.querySelector('a')
  if (!link) return
  event.preventDefault()
  link.focus()
}

function NoDevices() {
  return (
    <section class="note">
      <h1>No device has been heard yet</h1>
      <p>
        Start some from a second terminal: <code>npm run simulate</code>. A device that is refused is listed here, too,
        with why.
      </p>
    </section>
  )
}
