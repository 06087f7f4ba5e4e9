/** Owns what came of a device hour by hour: as bars, to look at, and as a table, to read. */

import type { HourOfDevice } from '../answers.ts'
import { clockTime } from '../time.ts'
import { count, counted } from '../values.ts'

export function Hours({ hours }: { readonly hours: readonly HourOfDevice[] }) {
  if (hours.length === 0) return null
  const most = Math.max(...hours.map(({ received, expected = 0 }) => Math.max(received, expected)), 1)
  const percent = (messages: number) => `${(100 * messages) / most}%`
  return (
    <>
      <h3>
        Messages by the hour{' '}
        <small>
          {counted(hours.length, 'hour')}, at most {count(Math.round(most))}
        </small>
      </h3>
      <div class="hours" aria-hidden="true">
        {hours.map(({ from, received, stored, setAside, expected }) => (
          <span key={from} title={`${clockTime(from)}: ${counted(received, 'message')}, ${count(setAside)} set aside`}>
            {expected !== undefined && <i class="expected" style={{ height: percent(expected) }} />}
            <i class="set-aside" style={{ height: percent(setAside) }} />
            <i class="stored" style={{ height: percent(stored) }} />
          </span>
        ))}
      </div>
      <details>
        <summary>As a table</summary>
        <div class="rows">
          <table>
            <thead>
              <tr>
                <th scope="col">From</th>
                <th scope="col">Stored</th>
                <th scope="col">Set aside</th>
                <th scope="col">Complete</th>
              </tr>
            </thead>
            <tbody>
              {hours.toReversed().map(({ from, stored, setAside, completeness }) => (
                <tr key={from}>
                  <td>{clockTime(from)}</td>
                  <td>{count(stored)}</td>
                  <td>{count(setAside)}</td>
                  <td>{completeness === undefined ? '' : `${Math.floor(completeness * 100)} %`}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </>
  )
}
