/** Owns the view of where the devices are: a map of those that fit the filters, what is in sight as text, and the one that was chosen. */

import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { address, change, go, linkTo, linkWith } from '../address.ts'
import type { DeviceListing } from '../answers.ts'
import { Chips, Find } from '../devices/filters.tsx'
import { fleet, useFleet } from '../devices/fleet.ts'
import { select, wantedOf } from '../devices/selection.ts'
import { StateMark } from '../state-mark.tsx'
import { areStreamsKnown } from '../streams.ts'
import { age, clockTime } from '../time.ts'
import { count, counted } from '../values.ts'
import { Words } from '../words.tsx'
import { FleetMap } from './fleet-map.ts'
import { type PositionStream, positionStreams } from './position-streams.ts'
import { areAllHere, located, moves, positionOf, refusal, usePositions } from './positions.ts'
import { ATTRIBUTION } from './tiles.ts'
import { trail, useTrail } from './trail.ts'
import './map.css'

/** Of a list beside the map. */
const LISTED_MAX = 50

export function MapView() {
  const offered = positionStreams.value
  const wanted = address.value.query.get('stream')
  const source = offered.find(({ stream }) => stream === wanted) ?? offered[0]
  if (!areStreamsKnown.value) return <p class="soft">Asking for the streams</p>
  if (source === undefined) return <NoPositions />
  return <Positions source={source} offered={offered} />
}

interface PositionsProps {
  readonly source: PositionStream
  readonly offered: readonly PositionStream[]
}

function Positions({ source, offered }: PositionsProps) {
  useFleet()
  usePositions(source)
  const known = fleet.value?.devices ?? NONE
  const { query } = address.value
  const wanted = useMemo(() => {
    const all = new URLSearchParams(query)
    // Of which stream the positions are, and not which devices.
    all.delete('stream')
    return wantedOf(all)
  }, [query])
  const selected = useMemo(() => select(known, wanted), [known, wanted])
  const without = useMemo(
    () => selected.devices.filter(({ device }) => positionOf(device) === undefined),
    [selected, located.value],
  )
  const chosen = known.find(({ device }) => device === query.get('device'))
  const [inSight, setInSight] = useState<readonly DeviceListing[]>(NONE)
  return (
    <>
      <h1 class="sr-only">Map</h1>
      <search class="filters">
        <Chips wanted={wanted} selected={selected} />
        <div class="fields map-fields">
          <Find wanted={wanted} />
          {offered.length > 1 && (
            <label>
              <span>Positions of</span>
              <select value={source.stream} onChange={({ currentTarget }) => change({ stream: currentTarget.value })}>
                {offered.map(({ stream }) => (
                  <option key={stream} value={stream}>
                    {stream}
                  </option>
                ))}
              </select>
            </label>
          )}
          <a class="button" href={linkWith({ at: undefined })}>
            Show all
          </a>
        </div>
      </search>
      <div class="map">
        <section class="ground" aria-label="Map">
          <Ground source={source} devices={selected.devices} chosen={chosen} setInSight={setInSight} />
          <Notice source={source} />
          {ATTRIBUTION && <small class="attribution">{ATTRIBUTION}</small>}
        </section>
        <div class="beside">
          {chosen && <Chosen listing={chosen} />}
          <InSight devices={inSight} />
          <Without devices={without} />
          <p>
            <a
              class="as-list"
              href={linkTo(['devices'], {
                state: query.get('state') ?? undefined,
                find: query.get('find') ?? undefined,
              })}
            >
              The same devices as a list
            </a>
          </p>
        </div>
      </div>
    </>
  )
}

const NONE: readonly DeviceListing[] = []

interface GroundProps {
  readonly source: PositionStream
  readonly devices: readonly DeviceListing[]
  readonly chosen: DeviceListing | undefined
  readonly setInSight: (devices: readonly DeviceListing[]) => void
}

function Ground({ source, devices, chosen, setInSight }: GroundProps) {
  const element = useRef<HTMLDivElement>(null)
  const map = useRef<FleetMap>(null)
  const at = address.value.query.get('at') ?? ''
  const device = chosen?.device
  const isFitted = useRef(false)
  const hasSome = located.value > 0
  useTrail(device, source)
  useEffect(() => {
    if (element.current === null) return
    const made = new FleetMap(element.current, {
      moved: (view) => change({ at: view }),
      chosen: (device) => go(linkWith({ device })),
      inSight: setInSight,
    })
    map.current = made
    const ends = [moves.subscribe(() => made.moved()), trail.subscribe((points) => made.drawTrail(points))]
    return () => {
      for (const end of ends) end()
      made.remove()
    }
  }, [setInSight])
  useEffect(() => {
    isFitted.current = false
  }, [at, source])
  // Until all are here, for more may come that are elsewhere; then no more: a map that moves by itself cannot be read.
  useEffect(() => {
    if (at !== '') map.current?.look(at)
    else if (
      !isFitted.current &&
      map.current?.fit(device === undefined ? devices.map(({ device }) => device) : [device])
    )
      isFitted.current = areAllHere.value
  }, [at, source, devices, device, hasSome, areAllHere.value])
  useEffect(() => map.current?.show(devices, chosen), [devices, chosen, hasSome])
  useEffect(() => {
    if (device !== undefined) map.current?.reveal(device)
  }, [device, hasSome])
  return (
    <div ref={element} class="leaflet" role="application" aria-label="Arrows move the map, plus and minus zoom it" />
  )
}

function Notice({ source: { stream } }: { readonly source: PositionStream }) {
  const said =
    refusal.value ??
    (located.value > 0
      ? undefined
      : areAllHere.value
        ? `No device has sent a position on ${stream} yet`
        : 'Asking for positions')
  return (
    <p class="notice" role="status">
      {said}
    </p>
  )
}

function Chosen({ listing: { device, state, sentence } }: { readonly listing: DeviceListing }) {
  moves.value
  const position = positionOf(device)
  return (
    <section class="card chosen-device" aria-label={device}>
      <h2>
        <a class="page-link" href={linkTo(['devices', device])}>
          {device}
        </a>
      </h2>
      <StateMark state={state} />
      <button type="button" class="close" aria-label="Choose none" onClick={() => go(linkWith({ device: undefined }))}>
        <svg viewBox="0 0 16 16" aria-hidden="true">
          <path d="M4 4l8 8M12 4l-8 8" />
        </svg>
      </button>
      <p>
        <Words text={sentence.charAt(0).toUpperCase() + sentence.slice(1)} />
      </p>
      <p class="soft">
        {position === undefined ? (
          'It has sent no position'
        ) : (
          <>
            Here at {clockTime(position.ts)}, {age(position.ts)}
            <br />
            {placeOf(position.latitude, 'N', 'S')}, {placeOf(position.longitude, 'E', 'W')}
          </>
        )}
      </p>
    </section>
  )
}

/** `52.52000° N`. */
const placeOf = (degrees: number, positive: string, negative: string) =>
  `${Math.abs(degrees).toFixed(5)}° ${degrees < 0 ? negative : positive}`

function InSight({ devices }: { readonly devices: readonly DeviceListing[] }) {
  return (
    <section class="card">
      <h2>
        In sight <span class="soft">{count(devices.length)}</span>
      </h2>
      <DeviceLinks devices={devices} linkOf={(device) => linkWith({ device })} />
    </section>
  )
}

function Without({ devices }: { readonly devices: readonly DeviceListing[] }) {
  if (devices.length === 0 || !areAllHere.value) return null
  return (
    <details class="card without">
      <summary>
        {counted(devices.length, 'device')} {devices.length === 1 ? 'has' : 'have'} no position
      </summary>
      <DeviceLinks devices={devices} linkOf={(device) => linkTo(['devices', device])} />
    </details>
  )
}

interface DeviceLinksProps {
  readonly devices: readonly DeviceListing[]
  readonly linkOf: (device: string) => string
}

function DeviceLinks({ devices, linkOf }: DeviceLinksProps) {
  return (
    <>
      <ul>
        {devices.slice(0, LISTED_MAX).map(({ device, state }) => (
          <li key={device}>
            <a class="device-link" href={linkOf(device)}>
              <span class="name">{device}</span>
              <StateMark state={state} />
            </a>
          </li>
        ))}
      </ul>
      {devices.length > LISTED_MAX && <p class="soft">and {count(devices.length - LISTED_MAX)} more</p>}
    </>
  )
}

function NoPositions() {
  return (
    <section class="note">
      <h1>No stream has positions</h1>
      <p>
        A stream is shown here if its schema has a column <code>latitude</code> (or <code>lat</code>) and a column{' '}
        <code>longitude</code> (or <code>lon</code>, <code>lng</code>), both with the unit <code>deg</code>.
      </p>
      <p>
        <a href={linkTo(['devices'])}>The devices as a list</a>
      </p>
    </section>
  )
}
