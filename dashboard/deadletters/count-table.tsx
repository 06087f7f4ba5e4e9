/**
 * Owns the table of who sends what is set aside, and why.
 *
 * Bound: `ROWS_SHOWN` rows until the reader asks for more, then `ROWS_MAX`.
 */

import { useMemo, useState } from 'preact/hooks'
import { address, linkWith } from '../address.ts'
import type { DeadLetterCount } from '../answers.ts'
import { isNarrow } from '../narrow.ts'
import { age, dateTime } from '../time.ts'
import { count } from '../values.ts'
import { type Choice, COLUMNS, type Column, type Order, ordered, orderOf } from './choice.ts'

const ROWS_SHOWN = 12
const ROWS_MAX = 500

interface Props {
  readonly counts: readonly DeadLetterCount[]
  readonly choice: Choice
}

export function CountTable({ counts, choice }: Props) {
  const [isLong, setLong] = useState(false)
  const sort = address.value.query.get('sort')
  const order = orderOf(sort)
  const rows = useMemo(() => ordered(counts, orderOf(sort)), [counts, sort])
  const first = rows.slice(0, isLong ? ROWS_MAX : ROWS_SHOWN)
  // Who came by a link sees where they are.
  const shown = first.some((each) => isChosen(each, choice))
    ? first
    : [...rows.filter((each) => isChosen(each, choice)), ...first]
  const others = rows.length - shown.length
  return (
    <section class="who-and-why">
      <table>
        <caption class="sr-only">Dead letters by device and code; choose a row to see its letters</caption>
        <thead>
          <tr>
            {(Object.keys(COLUMNS) as Column[]).map((column) => (
              <Heading key={column} column={column} order={order} />
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map((each) => (
            <Row key={`${each.device} ${each.code}`} each={each} isChosen={isChosen(each, choice)} />
          ))}
        </tbody>
      </table>
      {others > 0 && !isLong && (
        <button type="button" onClick={() => setLong(true)}>
          Show {count(Math.min(others, ROWS_MAX - ROWS_SHOWN))} more
        </button>
      )}
      {others > 0 && isLong && <p class="soft">and {count(others)} more: choose a code above</p>}
    </section>
  )
}

function Heading({ column, order }: { readonly column: Column; readonly order: Order }) {
  const isChosen = order.column === column
  const isRising = (column === 'device' || column === 'code') !== order.isReversed
  const next = isChosen && !order.isReversed ? `-${column}` : column
  return (
    <th scope="col" class={column} aria-sort={isChosen ? (isRising ? 'ascending' : 'descending') : undefined}>
      <a href={linkWith({ sort: next })} class={isChosen ? 'sorted' : undefined}>
        {COLUMNS[column]}
        <span aria-hidden="true">{isChosen ? (isRising ? ' ↑' : ' ↓') : ''}</span>
      </a>
    </th>
  )
}

const isChosen = ({ device, code }: DeadLetterCount, choice: Choice): boolean =>
  choice.device === device && (choice.code ?? code) === code

function Row({ each, isChosen }: { readonly each: DeadLetterCount; readonly isChosen: boolean }) {
  const { device, code, count: messages, lastAt } = each
  return (
    <tr class={isChosen ? 'chosen' : undefined}>
      <th scope="row" class="device">
        <a href={linkWith({ device, code, id: undefined })} aria-current={isChosen ? 'true' : undefined}>
          {device === '' ? 'not known' : device}
        </a>
      </th>
      <td class="code">{code}</td>
      <td class="count">{count(messages)}</td>
      <td class="lastAt" title={dateTime(lastAt)}>
        {isNarrow.value ? age(lastAt).replace(/ ago$/, '') : age(lastAt)}
      </td>
    </tr>
  )
}
