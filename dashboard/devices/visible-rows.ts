/**
 * Owns which rows of a long list are in the document: those in sight, and `MARGIN_ROWS` before and behind. The list is as high as all rows,
 * so the page scrolls as if they were there.
 */

import type { RefObject } from 'preact'
import { useEffect, useState } from 'preact/hooks'

const MARGIN_ROWS = 8

export interface Rows {
  readonly first: number
  /** Behind the last. */
  readonly end: number
}

/** `rowPx`: how high every row is. */
export function useVisibleRows(list: RefObject<HTMLElement | null>, count: number, rowPx: number): Rows {
  const [rows, setRows] = useState<Rows>({ first: 0, end: 0 })
  useEffect(() => {
    let frame = 0
    const look = () => {
      frame = 0
      const top = list.current?.getBoundingClientRect().top ?? 0
      const first = Math.max(0, Math.min(count, Math.floor(-top / rowPx) - MARGIN_ROWS))
      const end = Math.max(0, Math.min(count, Math.ceil((innerHeight - top) / rowPx) + MARGIN_ROWS))
      setRows((last) => (last.first === first && last.end === end ? last : { first, end }))
    }
    const later = () => {
      if (frame === 0) frame = requestAnimationFrame(look)
    }
    look()
    addEventListener('scroll', later, { passive: true })
    addEventListener('resize', later)
    return () => {
      cancelAnimationFrame(frame)
      removeEventListener('scroll', later)
      removeEventListener('resize', later)
    }
  }, [list, count, rowPx])
  return rows
}
