/** Owns the choices above the list: by state, stream, site and label, the search, and the order. All of them stand in the address. */

import { useMemo } from 'preact/hooks'
import { change, linkWith } from '../address.ts'
import type { DeviceListing, DeviceState } from '../answers.ts'
import { lookOf, STATES } from '../states.ts'
import { count } from '../values.ts'
import { labelsOf, type Selected, SORTS, type Wanted } from './selection.ts'

interface Props {
  readonly devices: readonly DeviceListing[]
  readonly wanted: Wanted
  readonly selected: Selected
}

export function Filters({ devices, wanted, selected }: Props) {
  const all = useMemo(() => choicesOf(devices), [devices])
  return (
    <search class="filters">
      <Chips wanted={wanted} selected={selected} />
      <div class="fields">
        <Find wanted={wanted} />
        <Choice name="stream" label="Stream" chosen={wanted.stream} from={all.streams} />
        <Choice name="site" label="Site" chosen={wanted.site} from={all.sites} />
        <Choice name="label" label="Label" chosen={wanted.label} from={all.labels} />
        <select
          aria-label="Order"
          value={wanted.sort}
          onChange={({ currentTarget }) => change({ sort: currentTarget.value })}
        >
          {Object.entries(SORTS).map(([sort, label]) => (
            <option key={sort} value={sort}>
              {label}
            </option>
          ))}
        </select>
      </div>
    </search>
  )
}

/** By state, with how many each has. */
export function Chips({ wanted, selected }: Omit<Props, 'devices'>) {
  const states = (Object.keys(STATES) as DeviceState[]).filter(
    (state) => selected.counts.has(state) || wanted.state === state,
  )
  return (
    <nav class="chips" aria-label="By state">
      <Chip label="All" number={selected.all} isChosen={wanted.state === undefined} />
      <Chip
        label="Problems"
        number={selected.problems}
        isChosen={wanted.state === 'problems'}
        state="problems"
        tone={selected.problems > 0 ? 'bad' : 'good'}
      />
      {states.map((state) => (
        <Chip
          key={state}
          label={lookOf(state).label}
          number={selected.counts.get(state) ?? 0}
          isChosen={wanted.state === state}
          state={state}
          tone={lookOf(state).tone}
        />
      ))}
    </nav>
  )
}

export function Find({ wanted }: Pick<Props, 'wanted'>) {
  return (
    <input
      type="search"
      placeholder="Find by name, site or label"
      aria-label="Find by name, site or label"
      value={wanted.text}
      onInput={({ currentTarget }) => change({ find: currentTarget.value })}
    />
  )
}

/** Each once. */
function choicesOf(devices: readonly DeviceListing[]) {
  const [streams, sites, labels] = [new Set<string>(), new Set<string>(), new Set<string>()]
  for (const listing of devices) {
    for (const stream of listing.streams) streams.add(stream)
    if (listing.site !== undefined) sites.add(listing.site)
    for (const label of labelsOf(listing.labels)) labels.add(label)
  }
  return { streams, sites, labels }
}

interface ChipProps {
  readonly label: string
  readonly number: number
  readonly isChosen: boolean
  readonly state?: string
  readonly tone?: string
}

function Chip({ label, number, isChosen, state, tone = '' }: ChipProps) {
  return (
    <a class={`chip ${tone}`} href={linkWith({ state })} aria-current={isChosen ? 'true' : undefined}>
      {label} <b>{count(number)}</b>
    </a>
  )
}

interface ChoiceProps {
  readonly name: string
  readonly label: string
  readonly chosen: string | undefined
  readonly from: ReadonlySet<string>
}

/** Not shown where there is nothing to choose. */
function Choice({ name, label, chosen, from }: ChoiceProps) {
  const options = [...new Set([...from, chosen ?? ''])].filter((option) => option !== '').sort()
  if (options.length === 0) return null
  return (
    <select
      aria-label={label}
      value={chosen ?? ''}
      onChange={({ currentTarget }) => change({ [name]: currentTarget.value })}
    >
      <option value="">All {label.toLowerCase()}s</option>
      {options.map((option) => (
        <option key={option} value={option}>
          {option}
        </option>
      ))}
    </select>
  )
}
