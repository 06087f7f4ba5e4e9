/** Owns the question for a token: asked where the gateway lets nobody in without one, or not with this one. */

import { computed } from '@preact/signals'
import { useState } from 'preact/hooks'
import { refused } from './gateway.ts'
import { dateTime, now } from './time.ts'
import { allowed, signIn, token } from './token.ts'

export const needsToken = computed(() => refused.value !== undefined && refused.value.token === token.value)

export function SignIn() {
  const [typed, type] = useState('')
  const isRefused = token.value !== ''
  const { expiresAt } = allowed.value
  const submit = (event: Event) => {
    event.preventDefault()
    if (typed.trim() !== '') signIn(typed)
  }
  return (
    <section class="note">
      <h1>{isRefused ? 'The gateway does not take this token' : 'A token is needed'}</h1>
      <div role="alert">
        {isRefused && (
          <p class="bad">
            {sentence(refused.value?.why ?? '')}
            {expiresAt !== undefined && expiresAt < now.value && ` It was good until ${dateTime(expiresAt)}.`}
          </p>
        )}
      </div>
      <p>
        Open the link that <code>npm start</code> {isRefused ? 'prints' : 'printed'}, or paste what{' '}
        <code>npx telltale token app --filter 'devices/+/telemetry/#'</code> prints. It stays in this browser.
      </p>
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

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
