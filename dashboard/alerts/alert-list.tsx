/**
 * Owns the view of the alerts: what is firing, who could not be told of it, and what was lately over.
 *
 * Bound: `ROWS_SHOWN` alerts of a kind are drawn; the others are counted, and found by rule, device or words.
 */

import { address, change, linkTo, linkWith } from '../address.ts'
import type { Alert, AlertsPage } from '../answers.ts'
import { duration } from '../duration.ts'
import { age, clockTime, dateTime, now } from '../time.ts'
import { count, counted } from '../values.ts'
import { Words } from '../words.tsx'
import { ALERTS_MAX, alerts, alertsError } from './listing.ts'
import { RuleHelp } from './rule-help.tsx'
import { type SelectedAlerts, selectAlerts, type WantedAlerts, wantedAlertsOf } from './selection.ts'
import './alerts.css'

const ROWS_SHOWN = 200

export function AlertList() {
  const known = alerts.value
  if (known === undefined) return <p class="soft">{alertsError.value ?? 'Asking for the alerts'}</p>
  const wanted = wantedAlertsOf(address.value.query)
  const selected = selectAlerts(known.alerts, wanted)
  const areNone = known.alerts.length === 0
  return (
    <>
      <h1 class="sr-only">Alerts</h1>
      <Untold page={known} />
      {areNone ? (
        <p>
          <span class="state good">
            <i class="dot" aria-hidden="true" />
            Nothing is firing
          </span>{' '}
          <span class="soft">and nothing was lately.</span>
        </p>
      ) : (
        <>
          <Filters wanted={wanted} selected={selected} />
          {known.alerts.length >= ALERTS_MAX && (
            <p class="soft">These are the newest {count(ALERTS_MAX)} alerts: there are more.</p>
          )}
          <Alerts title="Firing" alerts={selected.firing} none="Nothing of this is firing." />
          {selected.over.length > 0 && <Alerts title="Lately over" alerts={selected.over} none="" />}
        </>
      )}
      <RuleHelp isOpen={areNone} />
    </>
  )
}

function Filters({ wanted, selected }: { readonly wanted: WantedAlerts; readonly selected: SelectedAlerts }) {
  const rules = [...selected.byRule]
  if (wanted.rule !== undefined && !selected.byRule.has(wanted.rule)) rules.push([wanted.rule, 0])
  return (
    <search class="filters">
      <nav class="chips" aria-label="Firing, by rule">
        <RuleChip name="All" firing={selected.firingOfAll} isChosen={wanted.rule === undefined} />
        {rules.map(([rule, firing]) => (
          <RuleChip key={rule} name={rule} rule={rule} firing={firing} isChosen={wanted.rule === rule} />
        ))}
        {wanted.device !== undefined && (
          <a class="chip" aria-current="true" href={linkWith({ device: undefined })}>
            {wanted.device}
            <span aria-hidden="true">×</span>
            <span class="sr-only">: show all devices</span>
          </a>
        )}
      </nav>
      <div class="fields">
        <input
          type="search"
          placeholder="Find by device, rule or words"
          aria-label="Find by device, rule or words"
          value={address.value.query.get('find') ?? ''}
          onInput={({ currentTarget }) => change({ find: currentTarget.value })}
        />
      </div>
    </search>
  )
}

interface RuleChipProps {
  readonly name: string
  readonly rule?: string
  readonly firing: number
  readonly isChosen: boolean
}

function RuleChip({ name, rule, firing, isChosen }: RuleChipProps) {
  const tone = firing > 0 ? 'bad' : ''
  return (
    <a class={`chip ${tone}`} href={linkWith({ rule })} aria-current={isChosen ? 'true' : undefined}>
      {name} <b>{count(firing)}</b>
    </a>
  )
}

interface AlertsProps {
  readonly title: string
  readonly alerts: readonly Alert[]
  readonly none: string
}

function Alerts({ title, alerts, none }: AlertsProps) {
  const others = alerts.length - ROWS_SHOWN
  return (
    <section class="alerts">
      <h2>
        {title} <small>{count(alerts.length)}</small>
      </h2>
      {alerts.length === 0 && <p class="soft">{none}</p>}
      <ol class="alert-list">
        {alerts.slice(0, ROWS_SHOWN).map((alert) => (
          <AlertRow key={alert.id} alert={alert} />
        ))}
      </ol>
      {others > 0 && <p class="soft">and {count(others)} more: choose a rule, or find a device</p>}
    </section>
  )
}

function AlertRow({ alert: { rule, device, stream, state, since, until, sentence } }: { readonly alert: Alert }) {
  const isFiring = state === 'firing'
  return (
    <li class={isFiring ? 'alert-row bad' : 'alert-row idle'}>
      <i class="dot" aria-hidden="true" />
      <span class="who">
        {device === undefined ? <b>The platform</b> : <a href={linkTo(['devices', device])}>{device}</a>}
        {stream && <small>{stream}</small>}
      </span>
      <span class="sentence">
        <Words text={sentence} />
      </span>
      <a class="rule" href={linkWith({ rule })} aria-label={`Alerts of the rule ${rule}`}>
        {rule}
      </a>
      <span class="when" title={dateTime(since)}>
        {isFiring ? <b>{lasting(now.value - since)}</b> : <b>lasted {lasting((until ?? since) - since)}</b>}
        <small>{isFiring ? `since ${clockTime(since)}` : `over ${age(until ?? since)}`}</small>
      </span>
    </li>
  )
}

/** In whole seconds. */
const lasting = (ms: number): string => duration(Math.max(1_000, Math.round(ms / 1_000) * 1_000))

/** What people do not know of, though a rule says that they should. */
function Untold({ page: { targets, lost } }: { readonly page: AlertsPage }) {
  if (targets.length === 0 && lost.untold === 0 && lost.dropped === 0) return null
  const waiting = targets.reduce((sum, target) => sum + target.waiting, 0)
  return (
    <section class="untold" aria-label="Not told">
      {targets.length > 0 && (
        <details>
          <summary>
            <span class="state warn">
              <i class="dot" aria-hidden="true" />
              {counted(targets.length, 'target')} {targets.length === 1 ? 'takes' : 'take'} nothing
            </span>
            <span class="soft">
              {counted(waiting, 'message')} {waiting === 1 ? 'waits' : 'wait'}; each is sent again until it is taken
            </span>
          </summary>
          <ul>
            {targets.map(({ to, kind, waiting, since, problem }) => (
              <li key={`${kind} ${to}`}>
                <b>
                  {kind} {to}
                </b>
                <span>
                  {counted(waiting, 'message')}, the first {age(since)}
                </span>
                <span class="warn">{problem ?? 'no try has failed yet'}</span>
              </li>
            ))}
          </ul>
        </details>
      )}
      {lost.untold > 0 && (
        <p class="warn">
          {counted(lost.untold, 'alert')} did not begin, for too many were firing; each begins when there is room.
        </p>
      )}
      {lost.dropped > 0 && (
        <p class="warn">
          {counted(lost.dropped, 'message')} {lost.dropped === 1 ? 'was' : 'were'} given up: refused, too old, or one
          too many. Who should have had them was not told.
        </p>
      )}
    </section>
  )
}
