/** Owns the question before dead letters are put through again or purged, and what the gateway says then. */

import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { AnswerError, ask } from '../gateway.ts'
import { count, counted } from '../values.ts'
import type { Meant } from './choice.ts'

export interface Removal {
  readonly how: 'replay' | 'purge'
  readonly meant: Meant
}

const WORDS = {
  replay: {
    verb: 'Replay',
    does: 'Each is accepted once more, with its bytes and its time of receipt. What can be stored now is stored; what cannot comes back here with a new number.',
    result: (done: number) => `${counted(done, 'dead letter')} replayed. What cannot be stored comes back here.`,
  },
  purge: {
    verb: 'Purge',
    does: 'Their bytes are gone for good; the ledger goes on counting them. This cannot be undone.',
    result: (done: number) => `${counted(done, 'dead letter')} purged.`,
  },
} as const

interface Props {
  readonly removal: Removal
  /** With what became of them, or undefined if nothing did. */
  readonly close: (result?: string) => void
}

export function RemovalDialog({ removal: { how, meant }, close }: Props) {
  const dialog = useRef<HTMLDialogElement>(null)
  const [isUnderWay, setUnderWay] = useState(false)
  const [error, setError] = useState<string>()
  const { verb, does, result } = WORDS[how]
  useLayoutEffect(() => dialog.current?.showModal(), [])
  const confirm = async () => {
    setUnderWay(true)
    setError(undefined)
    try {
      const answer = await ask<{ readonly replayed?: number; readonly purged?: number }>(`v1/deadletters/${how}`, {
        method: 'POST',
        body: meant.body,
      })
      // Before the focus goes elsewhere: while it is open it lets nothing else have it.
      dialog.current?.close()
      close(result(answer.replayed ?? answer.purged ?? 0))
    } catch (error) {
      if (!(error instanceof AnswerError)) throw error
      setError(error.message)
      setUnderWay(false)
    }
  }
  return (
    <dialog ref={dialog} class="removal" aria-labelledby="removal-title" onClose={() => close()}>
      <h2 id="removal-title">
        {verb} {counted(meant.count, 'dead letter')}?
      </h2>
      <p>{meant.of}</p>
      <p class="soft">{does}</p>
      <div role="alert">{error && <p class="bad">{error}</p>}</div>
      <div class="acts">
        <button type="button" onClick={() => dialog.current?.close()} disabled={isUnderWay}>
          Cancel
        </button>
        <button type="button" class={how === 'purge' ? 'danger' : 'main'} onClick={confirm} disabled={isUnderWay}>
          {verb} {count(meant.count)}
        </button>
      </div>
    </dialog>
  )
}
