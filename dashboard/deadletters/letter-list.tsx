/** Owns the list of the dead letters of a choice, and which of them are chosen to be taken out. */

import type { RefObject } from 'preact'
import { linkWith } from '../address.ts'
import type { DeadLetter } from '../answers.ts'
import { clockTime, dateTime } from '../time.ts'
import { bytes, count } from '../values.ts'
import type { Choice } from './choice.ts'
import { LETTERS_MAX, type Letters } from './letters.ts'

interface Props {
  readonly list: RefObject<HTMLOListElement | null>
  readonly listed: Letters
  readonly choice: Choice
  /** Which is opened. */
  readonly id: string | undefined
  readonly chosen: ReadonlySet<string>
  /** Undefined where nothing may be taken out. */
  readonly choose?: (chosen: ReadonlySet<string>) => void
}

export function LetterList({ list, listed, choice, id, chosen, choose }: Props) {
  const { letters, areAll, error, more } = listed
  if (letters === undefined) return <p class="soft">{error?.message ?? 'Asking for the dead letters'}</p>
  const toggle = choose && ((letter: DeadLetter) => choose(toggled(chosen, letter.id)))
  return (
    <>
      <ol class="letter-list" ref={list}>
        {letters.map((letter) => (
          <LetterRow
            key={letter.id}
            letter={letter}
            choice={choice}
            isOpen={letter.id === id}
            isChosen={chosen.has(letter.id)}
            {...(toggle && { toggle: () => toggle(letter) })}
          />
        ))}
      </ol>
      {letters.length === 0 && <p class="soft">{areAll ? 'None fits.' : 'None of the newest fits.'}</p>}
      {error && <p class="bad">{error.message}</p>}
      {more && (
        <button type="button" onClick={more}>
          {letters.length === 0 ? 'Look further back' : 'Older ones'}
        </button>
      )}
      {!areAll && letters.length >= LETTERS_MAX && (
        <p class="soft">These are the newest {count(LETTERS_MAX)}: choose a device, a code or a time to see others.</p>
      )}
    </>
  )
}

function toggled(chosen: ReadonlySet<string>, id: string): ReadonlySet<string> {
  const now = new Set(chosen)
  if (!now.delete(id)) now.add(id)
  return now
}

interface RowProps {
  readonly letter: DeadLetter
  readonly choice: Choice
  readonly isOpen: boolean
  readonly isChosen: boolean
  readonly toggle?: () => void
}

function LetterRow({ letter, choice, isOpen, isChosen, toggle }: RowProps) {
  const { id, device, stream, code, message, at, bytes: size } = letter
  // What the choice says already is not said in each row.
  const who = [choice.device === undefined && (device || 'device not known'), choice.code === undefined && code]
  return (
    <li class={`letter-row${isOpen ? ' open' : ''}`}>
      {toggle && (
        <label class="pick">
          <input type="checkbox" checked={isChosen} onChange={toggle} aria-label={`Choose ${id}`} />
        </label>
      )}
      <a href={linkWith({ id })} aria-current={isOpen ? 'true' : undefined} data-id={id}>
        <span class="at" title={dateTime(at)}>
          {clockTime(at)}
        </span>
        <b class="who">{[...who, stream].filter(Boolean).join(' · ')}</b>
        <span class="size">{bytes(size)}</span>
        <span class="message">{message}</span>
      </a>
    </li>
  )
}
