/** Owns how the books are shown: as the equation that they are, and whether it holds. */

import type { PlatformHealth } from '../answers.ts'
import { count, counted } from '../values.ts'

export function Books({ ledger }: Pick<PlatformHealth, 'ledger'>) {
  const { accepted, stored, deadLettered, pending, balanced, readings, superseded, held, replayed } = ledger
  const notes = [
    `In readings: ${count(readings)} stored${superseded > 0 ? `, ${count(superseded)} of them replaced by a later one` : ''}`,
    held !== undefined && `${counted(held, 'dead letter')} kept${replayed ? `, ${count(replayed)} replayed` : ''}`,
  ]
  return (
    <section class="card" aria-labelledby="books">
      <h2 id="books">Books</h2>
      <dl class="books">
        <Term sign="" label="accepted" number={accepted} />
        <Term sign="=" label="stored" number={stored} />
        <Term sign="+" label="dead-lettered" number={deadLettered} />
        <Term sign="+" label="pending" number={pending} />
      </dl>
      <p class={`balance ${balanced ? 'good' : 'bad'}`}>
        <svg viewBox="0 0 16 16" aria-hidden="true">
          <path d={balanced ? 'M3 8.5l3.5 3.5L13 4.5' : 'M4 4l8 8M12 4l-8 8'} />
        </svg>
        {balanced ? 'Every message that was acknowledged is accounted for' : 'The books do not balance'}
      </p>
      <p class="soft">{notes.filter(Boolean).join(' · ')}</p>
    </section>
  )
}

interface TermProps {
  readonly sign: string
  readonly label: string
  readonly number: number
}

function Term({ sign, label, number }: TermProps) {
  return (
    <div class={sign === '' ? 'term first' : 'term'}>
      <dt>
        {sign && (
          <span class="sign" aria-hidden="true">
            {sign}
          </span>
        )}
        {label}
      </dt>
      <dd>{count(number)}</dd>
    </div>
  )
}
