/** Owns how one dead letter looks when it is opened: why it was set aside, what mends it, its bytes, and what could be read of them. */

import { useEffect, useMemo, useState } from 'preact/hooks'
import { linkTo, linkWith } from '../address.ts'
import type { OpenedLetter as Opened } from '../answers.ts'
import { useAnswer } from '../gateway.ts'
import { age, dateTime } from '../time.ts'
import { bytes, count, counted } from '../values.ts'
import { Words } from '../words.tsx'
import { copyText } from './copy.ts'
import { HexView } from './hex-view.tsx'

type Break = NonNullable<Opened['decoded']['breaks']>

interface Props {
  readonly id: string
  /** The ids of its neighbours in the list. */
  readonly newer: string | undefined
  readonly older: string | undefined
  /** Undefined where it may not be taken out. */
  readonly remove?: (how: 'replay' | 'purge') => void
}

export function OpenedLetter({ id, newer, older, remove }: Props) {
  const { value: letter, error } = useAnswer<Opened>(`v1/deadletters/${encodeURIComponent(id)}`)
  return (
    <article class="card opened" aria-label={`Dead letter ${id}`}>
      <nav class="steps" aria-label="Letters">
        <a href={linkWith({ id: undefined })}>
          <span aria-hidden="true">←</span> Back to the list
        </a>
        <Step to={newer} label="Newer" sign="↑" />
        <Step to={older} label="Older" sign="↓" />
      </nav>
      {error && <p class="bad">{error.message}</p>}
      {letter === undefined && !error && <p class="soft">Asking for dead letter {id}</p>}
      {letter && <Letter letter={letter} remove={remove} />}
    </article>
  )
}

function Step({ to, label, sign }: { readonly to: string | undefined; readonly label: string; readonly sign: string }) {
  if (to === undefined) return null
  return (
    <a href={linkWith({ id: to })}>
      <span aria-hidden="true">{sign}</span> {label}
    </a>
  )
}

function Letter({ letter, remove }: { readonly letter: Opened; readonly remove: Props['remove'] }) {
  const { id, device, topic, code, message, at, setAsideAt, bytes: size, payload, decoded, mend } = letter
  const { breaks, now, lines } = decoded
  const raw = useMemo(() => Uint8Array.from(atob(payload), (character) => character.charCodeAt(0)), [payload])
  return (
    <>
      <p class="where">
        {device === '' ? <b>Device not known</b> : <a href={linkTo(['devices', device])}>{device}</a>}
        <code>{code}</code>
      </p>
      <h2 class="reason">{message}</h2>
      {mend && (
        <p class="mend">
          <b>What to do</b> <Words text={mend} />
        </p>
      )}
      <dl class="facts">
        <Fact name="Topic">
          <code>{topic || 'not known'}</code>
        </Fact>
        <Fact name="Received">
          {dateTime(at)} <span class="soft">{age(at)}</span>
        </Fact>
        {setAsideAt !== undefined && setAsideAt - at > 1_000 && <Fact name="Set aside">{dateTime(setAsideAt)}</Fact>}
        <Fact name="Size">
          {bytes(size)}
          {size >= 1_024 && <span class="soft"> {count(size)} bytes</span>}
        </Fact>
        <Fact name="Number">{id}</Fact>
        {now && (
          <Fact name="If replayed now">
            {'readings' in now ? (
              <span class="good">it is stored: {counted(now.readings, 'reading')}</span>
            ) : (
              <span class="bad">
                {now.reason === message
                  ? 'it is set aside again, for the same reason'
                  : `it is set aside again: ${now.reason}`}
              </span>
            )}
          </Fact>
        )}
      </dl>
      <div class="acts">
        {remove && (
          <>
            <button type="button" onClick={() => remove('replay')}>
              Replay
            </button>
            <button type="button" class="danger" onClick={() => remove('purge')}>
              Purge
            </button>
          </>
        )}
        <CopyButton payload={payload} />
      </div>
      <h3>Bytes</h3>
      {breaks && <Breaks breaks={breaks} message={message} />}
      {raw.length === 0 ? (
        <p class="soft">There are none: the payload is empty.</p>
      ) : (
        <HexView key={id} bytes={raw} {...(breaks?.at !== undefined && { mark: breaks.at })} />
      )}
      <h3>What can be read</h3>
      <Lines lines={lines} />
    </>
  )
}

/** What the reason says already is not said again. */
function Breaks({ breaks: { at, why }, message }: { readonly breaks: Break; readonly message: string }) {
  const isSame = message.includes(why)
  if (at === undefined) return isSame ? null : <p>{why}</p>
  return (
    <p>
      <span class="bad">
        It breaks at byte {count(at)} (0x{at.toString(16).padStart(4, '0')})
      </span>
      {!isSame && `: ${why}`}
    </p>
  )
}

function Fact({ name, children }: { readonly name: string; readonly children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

/** The verdict stands above. */
function Lines({ lines }: Pick<Opened['decoded'], 'lines'>) {
  return (
    <dl class="decoded">
      {lines
        .filter(([name]) => name !== 'now')
        .map(([name, value], index) => (
          <div key={index}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  )
}

function CopyButton({ payload }: { readonly payload: string }) {
  const [said, say] = useState('')
  useEffect(() => say(''), [payload])
  const copy = async () => say((await copyText(payload)) ? 'Copied' : 'The browser does not let the page copy')
  return (
    <>
      <button type="button" onClick={copy}>
        Copy as base64
      </button>
      <span role="status" class="soft">
        {said}
      </span>
    </>
  )
}
