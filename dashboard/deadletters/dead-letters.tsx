/** Owns the view of the dead letters: who and why, then which, then one of them; and their way out, for a token that may. */

import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { address, change, linkTo, linkWith } from '../address.ts'
import type { DeadLetterCount } from '../answers.ts'
import { useAnswer } from '../gateway.ts'
import { streams } from '../streams.ts'
import { allowed } from '../token.ts'
import { count, counted } from '../values.ts'
import { byCode, type Choice, choiceOf, countsOf, meantByChoice, meantByIds, queryOf, sumOf, whose } from './choice.ts'
import { CountTable } from './count-table.tsx'
import { LetterList } from './letter-list.tsx'
import { useLetters } from './letters.ts'
import { OpenedLetter } from './opened-letter.tsx'
import { type Removal, RemovalDialog } from './removal.tsx'
import './deadletters.css'

const EVERY_MS = 5_000
const NONE: ReadonlySet<string> = new Set()
/** As the API takes them. */
const RECEIVED = {
  '': 'Any time',
  '-1h': 'Last hour',
  '-24h': 'Last day',
  '-7d': 'Last week',
}

interface Counts {
  readonly counts: readonly DeadLetterCount[]
  /** There are more. */
  readonly next?: string
}

export function DeadLetters() {
  const { query } = address.value
  const id = query.get('id') ?? undefined
  const choice = useMemo(() => choiceOf(query), [query])
  const { value: known, error, again: countAgain } = useAnswer<Counts>('v1/deadletters/counts', EVERY_MS)
  const listed = useLetters(queryOf(choice))
  const [{ of, chosen }, choose] = useState({ of: '', chosen: NONE })
  const [removal, remove] = useState<Removal>()
  const [result, say] = useState({ of: '', text: '' })
  const list = useRef<HTMLOListElement>(null)
  useReturn(list, id)
  if (known === undefined) return <p class="soft">{error?.message ?? 'Asking for the dead letters'}</p>
  if (known.counts.length === 0 && id === undefined && listed.letters?.length === 0)
    return <NoLetters result={result.text} />

  const path = queryOf(choice)
  const letters = listed.letters ?? []
  const chosenNow = of === path ? letters.filter((letter) => chosen.has(letter.id)).map((letter) => letter.id) : []
  const mayRemove = allowed.value.deadLetters
  const place = letters.findIndex((letter) => letter.id === id)
  const meant =
    chosenNow.length > 0
      ? meantByIds(chosenNow, whose(letters, chosen))
      : meantByChoice(choice, known.counts, letters, listed.areAll)
  const close = (done?: string) => {
    remove(undefined)
    if (done === undefined) return
    say({ of: path, text: done })
    choose({ of: path, chosen: NONE })
    if (id !== undefined) change({ id: undefined })
    listed.again()
    countAgain()
    document.getElementById('main')?.focus()
  }
  return (
    <>
      <h1 class="sr-only">Dead letters</h1>
      <Filters counts={known.counts} choice={choice} />
      {known.next !== undefined && <p class="soft">These are the counts of the first devices: there are more.</p>}
      <div role="status" class="told">
        {result.text !== '' && result.of === path && id === undefined && <p class="result">{result.text}</p>}
      </div>
      <div
        class={`dead-letters${id === undefined ? '' : ' is-open'}${choice.device && choice.code ? ' is-narrowed' : ''}`}
      >
        {id === undefined && <CountTable counts={tabled(known.counts, choice)} choice={choice} />}
        <section class="letters" aria-label="Letters">
          {mayRemove && id === undefined && meant && (
            <div class="acts">
              <span class="soft">
                {chosenNow.length > 0 ? `${count(chosenNow.length)} chosen` : `${counted(meant.count, 'message')}`}
              </span>
              <button type="button" onClick={() => remove({ how: 'replay', meant })}>
                Replay {which(meant.count, chosenNow.length)}
              </button>
              <button type="button" class="danger" onClick={() => remove({ how: 'purge', meant })}>
                Purge {which(meant.count, chosenNow.length)}
              </button>
            </div>
          )}
          <LetterList
            list={list}
            listed={listed}
            choice={choice}
            id={id}
            chosen={new Set(chosenNow)}
            {...(mayRemove &&
              id === undefined && { choose: (now: ReadonlySet<string>) => choose({ of: path, chosen: now }) })}
          />
          {!mayRemove && <HowToRemove />}
        </section>
        {id !== undefined && (
          <OpenedLetter
            id={id}
            newer={letters[place - 1]?.id}
            older={place < 0 ? undefined : letters[place + 1]?.id}
            {...(mayRemove && {
              remove: (how: Removal['how']) =>
                remove({ how, meant: meantByIds([id], whose(letters, new Set([id])) || `number ${id}`) }),
            })}
          />
        )}
      </div>
      {removal && <RemovalDialog removal={removal} close={close} />}
    </>
  )
}

const which = (meant: number, chosen: number): string => (meant === 1 ? 'it' : chosen > 0 ? 'them' : 'all')

/** The table has the other devices, too, so that one can go from one to the next. */
const tabled = (counts: readonly DeadLetterCount[], { device, code }: Choice): readonly DeadLetterCount[] =>
  device === undefined && code !== undefined ? countsOf(counts, { code }) : counts

/** Where a letter was opened, the page goes on when it is closed. */
function useReturn(list: { readonly current: HTMLOListElement | null }, id: string | undefined): void {
  const last = useRef<string>(undefined)
  useEffect(() => {
    const link = list.current?.querySelector<HTMLElement>(`[data-id="${CSS.escape(id ?? last.current ?? '')}"]`)
    if (id !== undefined && last.current === undefined) scrollTo(0, 0)
    if (id !== undefined) list.current && link && scrollWithin(list.current, link)
    else if (last.current !== undefined) link?.focus()
    last.current = id
  }, [list, id])
}

function scrollWithin(list: HTMLElement, link: HTMLElement): void {
  const [outer, inner] = [list.getBoundingClientRect(), link.getBoundingClientRect()]
  if (inner.top < outer.top || inner.bottom > outer.bottom) list.scrollTop += inner.top - outer.top - outer.height / 3
}

function Filters({ counts, choice }: { readonly counts: readonly DeadLetterCount[]; readonly choice: Choice }) {
  const { code: _, ...others } = choice
  const own = countsOf(counts, others)
  const codes = byCode(own)
  const { device, code, stream, from } = choice
  return (
    <search class="filters">
      <nav class="chips" aria-label="By code">
        {device !== undefined && <Without label="Device" value={device} name="device" />}
        {choice.to !== undefined && <Without label="Before" value={choice.to} name="to" />}
        <CodeChip label="All" number={sumOf(own)} isChosen={code === undefined} />
        {codes.map((each) => (
          <CodeChip
            key={each.code}
            label={each.code}
            code={each.code}
            number={each.count}
            isChosen={code === each.code}
          />
        ))}
        {code !== undefined && !codes.some((each) => each.code === code) && (
          <CodeChip label={code} code={code} number={0} isChosen />
        )}
      </nav>
      <div class="fields">
        <select
          aria-label="Stream"
          value={stream ?? ''}
          onChange={({ currentTarget }) => change({ stream: currentTarget.value })}
        >
          <option value="">All streams</option>
          {[...new Set([...streams.value.keys(), ...(stream === undefined ? [] : [stream])])].sort().map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
        <select
          aria-label="Received"
          value={from ?? ''}
          onChange={({ currentTarget }) => change({ from: currentTarget.value })}
        >
          {Object.entries({ ...RECEIVED, ...(from && !(from in RECEIVED) && { [from]: `Since ${from}` }) }).map(
            ([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ),
          )}
        </select>
      </div>
    </search>
  )
}

interface CodeChipProps {
  readonly label: string
  readonly number: number
  readonly isChosen: boolean
  readonly code?: string
}

function CodeChip({ label, number, isChosen, code }: CodeChipProps) {
  return (
    <a class="chip" href={linkWith({ code, id: undefined })} aria-current={isChosen ? 'true' : undefined}>
      {label} <b>{count(number)}</b>
    </a>
  )
}

/** What the address says, and the way to be without it. */
function Without({
  label,
  value,
  name,
}: {
  readonly label: string
  readonly value: string
  readonly name: keyof Choice
}) {
  return (
    <a class="chip" aria-current="true" href={linkWith({ [name]: undefined, id: undefined })}>
      <span>{label}</span> <b>{value}</b>
      <span aria-hidden="true">×</span>
      <span class="sr-only">: show all</span>
    </a>
  )
}

function HowToRemove() {
  return (
    <p class="soft how">
      To replay or purge them, open this page with a token that may:{' '}
      <code>npx telltale token app --filter 'devices/+/telemetry/#' --dead-letters</code> prints one.
    </p>
  )
}

function NoLetters({ result }: { readonly result: string }) {
  return (
    <section class="note">
      {result && <p role="status">{result}</p>}
      <h1>There are no dead letters</h1>
      <p>
        A message that cannot be read or stored is kept here, with its bytes and why; one that was replayed in vain
        comes back within seconds. <a href={linkTo(['devices'])}>All devices</a>
      </p>
    </section>
  )
}
