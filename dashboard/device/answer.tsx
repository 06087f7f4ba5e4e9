/** Owns the answer: how a device is, in one sentence, what mends it, and what shows it. Of now, or of a time in the past. */

import { address, linkTo, linkWith } from '../address.ts'
import { alerts } from '../alerts/listing.ts'
import type { DeviceRecord, Why } from '../answers.ts'
import type { AnswerError } from '../gateway.ts'
import { StateMark } from '../state-mark.tsx'
import { lookOf } from '../states.ts'
import { age, clockTime } from '../time.ts'
import { counted } from '../values.ts'
import { Words } from '../words.tsx'

const NEWEST_SHOWN = 4
const ALERTS_SHOWN = 3

interface Props {
  readonly device: string
  readonly record: DeviceRecord | undefined
  readonly why: Why | undefined
  readonly at: number | undefined
}

export function Answer({ device, record, why, at }: Props) {
  const isPast = at !== undefined
  const tone =
    why === undefined ? '' : why.cause === 'well' ? 'good' : isPast ? 'bad' : lookOf(record?.state ?? '').tone
  return (
    <section class={`card answer tone-${tone}`} aria-label="How it is">
      <div class="who">
        <h1>{device}</h1>
        {record && !isPast && <StateMark state={record.state} />}
        <Place record={record} />
      </div>
      {isPast && (
        <p class="past">
          As it was at <b>{clockTime(at)}</b>. <a href={linkWith({ at: undefined })}>Back to now</a>
        </p>
      )}
      <div aria-live="polite">
        {why ? (
          <p class="sentence">
            <Words text={sentenceOf(why)} />
          </p>
        ) : (
          <p class="soft">Asking</p>
        )}
      </div>
      {why?.mend && (
        <p class="mend">
          <b>To mend it:</b> <Words text={`${why.mend}.`} />
        </p>
      )}
      {!isPast && <Firing device={device} />}
      {why && why.evidence.length > 0 && <Evidence evidence={why.evidence} isPast={isPast} />}
    </section>
  )
}

/** Alerts of it, of those that the page counts. */
function Firing({ device }: { readonly device: string }) {
  const firing = (alerts.value?.alerts ?? []).filter((alert) => alert.state === 'firing' && alert.device === device)
  if (firing.length === 0) return null
  return (
    <div class="firing">
      <h2>
        <a href={linkTo(['alerts'], { device })}>{counted(firing.length, 'alert')}</a>
      </h2>
      <ul>
        {firing.slice(0, ALERTS_SHOWN).map(({ id, sentence, since }) => (
          <li key={id}>
            <Words text={sentence} /> <small>{age(since)}</small>
          </li>
        ))}
      </ul>
    </div>
  )
}

/** The first letter stands as it is where it begins the name of the device. */
function sentenceOf({ sentence, device }: Why): string {
  const text = sentence.startsWith(device) ? sentence : sentence.charAt(0).toUpperCase() + sentence.slice(1)
  return `${text}.`
}

function Place({ record }: { readonly record: DeviceRecord | undefined }) {
  const { site, labels = {} } = record ?? {}
  if (site === undefined && Object.keys(labels).length === 0) return null
  return (
    <span class="place">
      {site && <a href={linkTo(['devices'], { site })}>{site}</a>}
      {Object.entries(labels).map(([name, value]) => (
        <a key={name} href={linkTo(['devices'], { label: `${name}:${value}` })}>
          {name}: {value}
        </a>
      ))}
    </span>
  )
}

function Evidence({ evidence, isPast }: { readonly evidence: Why['evidence']; readonly isPast: boolean }) {
  const newest = evidence.toReversed()
  const older = newest.slice(NEWEST_SHOWN)
  return (
    <div>
      <h2>What shows it</h2>
      <EvidenceLines evidence={newest.slice(0, NEWEST_SHOWN)} isPast={isPast} />
      {older.length > 0 && (
        <details>
          <summary>{older.length} older</summary>
          <EvidenceLines evidence={older} isPast={isPast} />
        </details>
      )}
    </div>
  )
}

function EvidenceLines({ evidence, isPast }: { readonly evidence: Why['evidence']; readonly isPast: boolean }) {
  return (
    <ol class="evidence">
      {evidence.map(({ at, text }) => (
        <li key={`${at} ${text}`}>
          <time dateTime={new Date(at).toISOString()}>{clockTime(at)}</time>
          {!isPast && <small>{age(at)}</small>}
          <span>
            <Words text={text} />
          </span>
        </li>
      ))}
    </ol>
  )
}

/** Of a device that nobody knows, or that the token may not see: in the gateway's words, with the near names as links. */
export function Unknown({ device, error }: { readonly device: string; readonly error: AnswerError }) {
  const [sentence = '', near = ''] = error.message.split('; near to it: ')
  const names = near.split(', ').filter((name) => name !== '')
  return (
    <section class="note">
      <h1>{device}</h1>
      <p>{sentence.charAt(0).toUpperCase() + sentence.slice(1)}.</p>
      {names.length > 0 && (
        <p>
          Near to it:{' '}
          {names.map((name, index) => (
            <span key={name}>
              {index > 0 && ', '}
              <a href={linkTo(['devices', name], Object.fromEntries(address.value.query))}>{name}</a>
            </span>
          ))}
        </p>
      )}
      <p>
        <a href={linkTo(['devices'])}>All devices</a>
      </p>
    </section>
  )
}
