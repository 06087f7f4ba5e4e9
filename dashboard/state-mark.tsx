/** Owns how the state of a device is drawn: a dot and its word. */

import { lookOf } from './states.ts'

export function StateMark({ state }: { readonly state: string }) {
  const { label, tone } = lookOf(state)
  return (
    <span class={`state ${tone}`}>
      <i class="dot" aria-hidden="true" />
      {label}
    </span>
  )
}
