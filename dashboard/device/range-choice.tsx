/** Owns the choice of the time that the story and the plots are about. */

import { linkWith } from '../address.ts'
import { clockTime } from '../time.ts'
import { RANGES, type Shown } from './range.ts'

export function RangeChoice({ shown: { range, fixed } }: { readonly shown: Shown }) {
  return (
    <nav class="chips ranges" aria-label="Time shown">
      {Object.entries(RANGES).map(([name, { label }]) => (
        <a
          key={name}
          class="chip"
          href={linkWith({ range: name, from: undefined, to: undefined })}
          aria-current={name === range && fixed === undefined ? 'true' : undefined}
        >
          {label}
        </a>
      ))}
      {fixed && (
        <span class="zoomed">
          {clockTime(fixed.from)} to {clockTime(fixed.to)}
          <a class="chip" href={linkWith({ from: undefined, to: undefined, at: undefined })}>
            Back to the last {RANGES[range].label}
          </a>
        </span>
      )}
    </nav>
  )
}
