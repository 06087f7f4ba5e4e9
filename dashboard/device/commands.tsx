/** Owns the commands to a device: what it was asked, what became of that, asking it, and taking that back where the token may. */

import { useState } from 'preact/hooks'
import type { Command } from '../../client/client.ts'
import { AnswerError, ask, useAnswer } from '../gateway.ts'
import { age, clockTime } from '../time.ts'
import { allowed } from '../token.ts'

const EVERY_MS = 3_000
/** As the gateway takes them: 1 s to 30 days. */
const DURATION = /^\d+(\.\d+)?(ms|s|m|h|d)$/
const OPEN: readonly Command['state'][] = ['waiting', 'sent']

const WORDS: Readonly<Record<Command['state'], { readonly label: string; readonly tone: string }>> = {
  waiting: { label: 'Waits for the device', tone: 'warn' },
  sent: { label: 'Sent, not acknowledged yet', tone: 'warn' },
  acknowledged: { label: 'The device has it', tone: 'good' },
  expired: { label: 'Expired', tone: 'idle' },
  cancelled: { label: 'Taken back', tone: 'idle' },
  refused: { label: 'Refused by the device', tone: 'bad' },
}

export function Commands({ device }: { readonly device: string }) {
  const path = `v1/devices/${encodeURIComponent(device)}/commands`
  const { value, error, again } = useAnswer<{ readonly commands: readonly Command[] }>(path, EVERY_MS)
  const mayCommand = allowed.value.commands.some((pattern) => fits(pattern, device))
  const commands = value?.commands.toReversed() ?? []
  return (
    <section class="card commands" id="commands" aria-label="Commands">
      <h2>Commands</h2>
      {mayCommand ? (
        <Form path={path} onSent={again} />
      ) : (
        <p class="soft">
          This token may not command it. <code>npx telltale token app --command devices/{device}</code> makes one that
          may.
        </p>
      )}
      {error && error.status !== 0 && <p class="bad">{error.message}.</p>}
      {value && commands.length === 0 && <p class="soft">No command was sent to it.</p>}
      <ol>
        {commands.map((command) => (
          <Item key={command.id} command={command} path={path} mayCommand={mayCommand} onChange={again} />
        ))}
      </ol>
    </section>
  )
}

/** `truck-*`: all whose ids begin so. */
const fits = (pattern: string, device: string): boolean =>
  pattern.endsWith('*') ? device.startsWith(pattern.slice(0, -1)) : pattern === device

interface FormProps {
  readonly path: string
  readonly onSent: () => void
}

function Form({ path, onSent }: FormProps) {
  const [payload, setPayload] = useState('')
  const [expiresIn, setExpiresIn] = useState('1h')
  const [said, say] = useState<{ readonly text: string; readonly isError: boolean }>()
  const [isSending, setSending] = useState(false)
  const submit = async (event: Event) => {
    event.preventDefault()
    const wrong = mistakeIn(payload, expiresIn)
    if (wrong !== undefined) return say({ text: wrong, isError: true })
    setSending(true)
    try {
      await ask(path, { method: 'POST', body: { payload: JSON.parse(payload), expiresIn } })
      say({ text: 'The platform has it on disk.', isError: false })
      setPayload('')
    } catch (error) {
      if (!(error instanceof AnswerError)) throw error
      const unknown = error.status === 0 ? '; it may have been taken: look at the list' : ''
      say({ text: `${error.message}${unknown}.`, isError: true })
    }
    setSending(false)
    onSent()
  }
  return (
    <form onSubmit={submit} noValidate>
      <label>
        Payload, as JSON
        <textarea
          rows={2}
          spellcheck={false}
          autocapitalize="off"
          placeholder={'{"lamp": true}'}
          value={payload}
          aria-invalid={said?.isError ?? false}
          aria-describedby="command-said"
          onInput={({ currentTarget }) => setPayload(currentTarget.value)}
        />
      </label>
      <div class="send">
        <label>
          Expires in
          <input value={expiresIn} size={5} onInput={({ currentTarget }) => setExpiresIn(currentTarget.value.trim())} />
        </label>
        <button type="submit" class="main" disabled={isSending}>
          Send
        </button>
      </div>
      <p id="command-said" role="status" class={said?.isError ? 'bad' : 'good'}>
        {said?.text}
      </p>
    </form>
  )
}

function mistakeIn(payload: string, expiresIn: string): string | undefined {
  if (!DURATION.test(expiresIn)) return 'Expires in is to be a duration, such as 10m, 1h or 2d.'
  try {
    JSON.parse(payload)
    return undefined
  } catch (error) {
    return `The payload is no JSON: ${(error as Error).message}.`
  }
}

interface ItemProps {
  readonly command: Command
  readonly path: string
  readonly mayCommand: boolean
  readonly onChange: () => void
}

function Item({ command, path, mayCommand, onChange }: ItemProps) {
  const [failed, fail] = useState('')
  const { id, state, payload, createdAt, expiresAt, sentAt, sends, endedAt, reason } = command
  const { label, tone } = WORDS[state] ?? { label: state, tone: 'warn' }
  const isOpen = OPEN.includes(state)
  const takeBack = async () => {
    try {
      await ask(`${path}/${encodeURIComponent(id)}`, { method: 'DELETE' })
      fail('')
    } catch (error) {
      if (!(error instanceof AnswerError)) throw error
      fail(`${error.message}.`)
    }
    onChange()
  }
  return (
    <li>
      <span class={`state ${tone}`}>
        <i class="dot" aria-hidden="true" />
        {label}
      </span>
      {payload !== undefined && <code>{JSON.stringify(payload)}</code>}
      <small>
        asked at {clockTime(createdAt)}, {age(createdAt)}
        {sentAt !== undefined && `; sent at ${clockTime(sentAt)}${sends > 1 ? `, ${sends} times` : ''}`}
        {endedAt !== undefined
          ? `; ${state === 'acknowledged' ? 'acknowledged' : 'over'} at ${clockTime(endedAt)}`
          : `; until ${clockTime(expiresAt)}`}
        {reason && `; ${reason}`}
      </small>
      {isOpen && mayCommand && (
        <button type="button" onClick={takeBack}>
          Take back
        </button>
      )}
      {failed && <p class="bad">{failed}</p>}
    </li>
  )
}
