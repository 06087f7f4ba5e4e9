/** Owns the question for a token: asked where the gateway lets nobody in without one, or not with this one. */

import { computed } from '@preact/signals'
import { useState } from 'preact/hooks'
import { refused } from './gateway.ts'
import { signIn, token } from './token.ts'

export const needsToken = computed(() => refused.value !== undefined && refused.value.token === token.value)

export function SignIn() {
  const [typed, type] = useState('')
  const submit = (event: Event) => {
    event.preventDefault()
    if (typed.trim() !== '') signIn(typed)
  }
  return (
    <section class="note">
      <h1>A token is needed</h1>
      <p>
        Open the link that <code>npm start</code> printed, or paste what{' '}
        <code>npx telltale token app --filter 'devices/+/telemetry/#'</code> prints. It stays in this browser.
      </p>
      {token.value !== '' && <p class="bad">{refused.value?.why}.</p>}
      <form onSubmit={submit}>
        <input
          type="password"
          aria-label="Token"
          autocomplete="off"
          value={typed}
          onInput={({ currentTarget }) => type(currentTarget.value)}
        />
        <button type="submit" class="main">
          Open
        </button>
      </form>
    </section>
  )
}
