/** Owns the frame of the page: its title, the ways to its views, whether the gateway answers, and the question for a token. */

import { useEffect } from 'preact/hooks'
import { address, linkTo } from './address.ts'
import { AlertList } from './alerts/alert-list.tsx'
import { firingCount, useAlerts } from './alerts/listing.ts'
import { DeadLetters } from './deadletters/dead-letters.tsx'
import { DevicePage } from './device/device-page.tsx'
import { DeviceList } from './devices/device-list.tsx'
import { trouble } from './gateway.ts'
import { Logo } from './logo.tsx'
import { MapView } from './map/map-view.tsx'
import { positionStreams } from './map/position-streams.ts'
import { unwellMark, useHealth } from './platform/health.ts'
import { PlatformView } from './platform/platform-view.tsx'
import { useScrollPlace } from './scroll-place.ts'
import { needsToken, SignIn } from './sign-in.tsx'
import { useStreams } from './streams.ts'
import { age, chooseUtc, isUtc } from './time.ts'
import { allowed, signOut, token } from './token.ts'

interface View {
  readonly label: string
  readonly icon: string
  /** What stands beside its label, in short and in words. */
  readonly count?: () => { readonly shown: string; readonly said: string } | undefined
  /** Undefined: always. */
  readonly isOffered?: () => boolean
  readonly draw: (rest: readonly string[]) => preact.JSX.Element
}

/** By the first part of the address. */
const VIEWS: Readonly<Record<string, View>> = {
  devices: {
    label: 'Devices',
    icon: 'M2 4h12M2 8h12M2 12h12',
    draw: ([device]) => (device === undefined ? <DeviceList /> : <DevicePage key={device} device={device} />),
  },
  alerts: {
    label: 'Alerts',
    icon: 'M2.5 12h11L12 10V6.8a4 4 0 0 0-8 0V10zM6.8 14.3h2.4',
    count: () => firingCount.value,
    draw: () => <AlertList />,
  },
  deadletters: {
    label: 'Dead letters',
    icon: 'M2 4h12v8.5H2zM2.3 4.5 8 9l5.7-4.5',
    draw: () => <DeadLetters />,
  },
  map: {
    label: 'Map',
    icon: 'M8 14c3-3.5 4.5-5.8 4.5-8a4.5 4.5 0 1 0-9 0c0 2.2 1.5 4.5 4.5 8zM8 7.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3z',
    isOffered: () => positionStreams.value.length > 0,
    draw: () => <MapView />,
  },
  platform: {
    label: 'Platform',
    icon: 'M2 3h12v4H2zM2 9h12v4H2zM4.5 5h.01M4.5 11h.01',
    count: () => unwellMark.value,
    draw: () => <PlatformView />,
  },
}
const FIRST = 'devices'

export function App() {
  const [name = FIRST, ...rest] = address.value.path
  const view = VIEWS[name]
  const offered = Object.entries(VIEWS).filter(([, { isOffered }]) => isOffered?.() ?? true)
  useStreams()
  useAlerts(view === VIEWS.alerts)
  useHealth(view === VIEWS.platform)
  const title = [...rest, view?.label ?? 'Nothing here', 'Telltale'].join(' · ')
  useEffect(() => {
    document.title = title
  }, [title])
  useScrollPlace([name, ...rest].join('/'))
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
        To the content
      </button>
      <header>
        <a class="brand" href={linkTo([])} aria-label="Telltale">
          <Logo />
          <b>Telltale</b>
        </a>
        <nav aria-label="Views" hidden={needsToken.value}>
          {offered.map(([path, { label, icon, count }]) => (
            <a key={path} href={linkTo([path])} aria-current={path === name ? 'page' : undefined}>
              <svg viewBox="0 0 16 16" aria-hidden="true">
                <path d={icon} />
              </svg>
              {label}
              <Count of={count?.()} />
            </a>
          ))}
        </nav>
        <div class="choices">
          <select
            aria-label="Times are shown in"
            value={String(isUtc.value)}
            onChange={({ currentTarget }) => chooseUtc(currentTarget.value === 'true')}
          >
            <option value="false">Local time</option>
            <option value="true">UTC</option>
          </select>
          {token.value !== '' && (
            <button type="button" onClick={signOut} title={expiry(allowed.value.expiresAt)}>
              Sign out
            </button>
          )}
        </div>
      </header>
      <Trouble />
      <main id="main" tabIndex={-1}>
        {needsToken.value ? <SignIn /> : (view?.draw(rest) ?? <Nothing />)}
      </main>
    </>
  )
}

function Count({ of: count }: { readonly of: ReturnType<NonNullable<View['count']>> }) {
  if (count === undefined) return null
  return (
    <>
      <b class="nav-count" aria-hidden="true">
        {count.shown}
      </b>
      <span class="sr-only">, {count.said}</span>
    </>
  )
}

const expiry = (at: number | undefined) => (at === undefined ? undefined : `The token is good until ${new Date(at)}`)

function Trouble() {
  const away = trouble.value
  return (
    <div role="status">
      {away && (
        <p class="banner">
          The gateway does not answer; what stands here is what it said last, {age(away.since)}. The page asks it again.
        </p>
      )}
    </div>
  )
}

function Nothing() {
  return (
    <section class="note">
      <h1>There is nothing here</h1>
      <p>
        The link leads to no view of this page. <a href={linkTo([])}>All devices</a>
      </p>
    </section>
  )
}
