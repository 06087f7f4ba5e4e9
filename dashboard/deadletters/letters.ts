/**
 * Owns the dead letters that are listed: the newest, asked again every few seconds, and as many of the older ones as the reader asked for.
 *
 * Always true: they are in the order in which they were set aside, the last first, without a hole between those that were listed before and
 * those that came since. Bound: `LETTERS_MAX`, in pages of `PAGE_LETTERS`.
 */

import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import type { DeadLetter, DeadLettersPage } from '../answers.ts'
import { AnswerError, ask, useAnswer } from '../gateway.ts'

const PAGE_LETTERS = 100
export const LETTERS_MAX = 1_000
const EVERY_MS = 5_000

interface Listed {
  readonly path: string
  readonly letters: readonly DeadLetter[]
  readonly next?: string | undefined
}

export interface Letters {
  /** Undefined until they are known. */
  readonly letters?: readonly DeadLetter[]
  /** There are none but these. */
  readonly areAll: boolean
  readonly error?: AnswerError
  /** Asks for the next page; undefined where there is none, or while it comes. */
  readonly more?: () => void
  /** Asks for all anew. */
  readonly again: () => void
}

/** `query`: of the choice. */
export function useLetters(query: string): Letters {
  const path = `v1/deadletters?limit=${PAGE_LETTERS}${query && `&${query}`}`
  const { value, error, again } = useAnswer<DeadLettersPage>(path, EVERY_MS)
  const [kept, setKept] = useState<Listed>()
  const [moreError, setMoreError] = useState<AnswerError>()
  const [isComing, setComing] = useState(false)
  const shownPath = useRef(path)
  shownPath.current = path

  useEffect(() => {
    if (value !== undefined) setKept((last) => withNewest(last?.path === path ? last : undefined, value, path))
  }, [value, path])

  const listed = kept?.path === path ? kept : undefined
  const next = listed?.next
  const more = useCallback(async () => {
    setComing(true)
    try {
      const page = await ask<DeadLettersPage>(`${path}&after=${next}`)
      if (shownPath.current === path) setKept((last) => last && withOlder(last, page, next))
      setMoreError(undefined)
    } catch (error) {
      if (!(error instanceof AnswerError)) throw error
      setMoreError(error)
    } finally {
      setComing(false)
    }
  }, [path, next])

  const hasMore = next !== undefined && (listed?.letters.length ?? 0) < LETTERS_MAX
  const failure = error ?? moreError
  return {
    ...(listed && { letters: listed.letters }),
    areAll: listed !== undefined && next === undefined,
    ...(failure && { error: failure }),
    ...(hasMore && !isComing && { more }),
    again: () => {
      setKept(undefined)
      again()
    },
  }
}

/** The older ones stay, if none can be missing between them and the page. */
function withNewest(last: Listed | undefined, { deadLetters, next }: DeadLettersPage, path: string): Listed {
  const newest = Number(last?.letters[0]?.id ?? 0)
  const border = Number(next ?? 0)
  if (last === undefined || next === undefined || newest < border) return { path, letters: deadLetters, next }
  const older = last.letters.filter(({ id }) => Number(id) < border)
  if (older.length === 0) return { path, letters: deadLetters, next }
  return { path, letters: [...deadLetters, ...older].slice(0, LETTERS_MAX), next: last.next }
}

function withOlder(last: Listed, { deadLetters, next }: DeadLettersPage, after: string | undefined): Listed {
  // The newest came meanwhile, and nothing is as it was.
  if (last.next !== after) return last
  return { path: last.path, letters: [...last.letters, ...deadLetters], next }
}
