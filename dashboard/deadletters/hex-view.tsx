/**
 * Owns the look of raw bytes: their offset, sixteen a line (eight on a phone), and what of them is printable ASCII.
 *
 * Bound: `BYTES_SHOWN` until the reader asks for more, around the byte that is marked; then all, which is `PAYLOAD_BYTES_MAX` of the platform.
 */

import { useState } from 'preact/hooks'
import { isNarrow } from '../narrow.ts'
import { count, bytes as size } from '../values.ts'

const BYTES_SHOWN = 1_024
const BYTES_MORE = 16_384
/** As many lines are before the marked byte, if it is not among the first. */
const LINES_BEFORE = 8

interface Props {
  readonly bytes: Uint8Array
  /** Where reading stopped; as many as there are bytes where it was their end. */
  readonly mark?: number
}

export function HexView({ bytes, mark }: Props) {
  const [shown, setShown] = useState(BYTES_SHOWN)
  const width = isNarrow.value ? 8 : 16
  const first = firstOf(mark ?? 0, width)
  const end = Math.min(bytes.length, first + shown)
  const lines: preact.JSX.Element[] = []
  // A mark at the end may need a line of its own.
  for (let at = first; at < end || at === mark; at += width) {
    lines.push(<Line key={at} bytes={bytes.subarray(at, at + width)} at={at} width={width} mark={mark} />)
  }
  return (
    <>
      {first > 0 && <p class="soft">The first {size(first)} are not shown.</p>}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what can be scrolled must be reached by keyboard. */}
      <section class="hex" tabIndex={0} aria-label="The bytes">
        <pre>{lines}</pre>
      </section>
      {end < bytes.length && (
        <button type="button" onClick={() => setShown(shown + BYTES_MORE)}>
          Show more: {count(bytes.length - end)} bytes are left
        </button>
      )}
    </>
  )
}

function firstOf(mark: number, width: number): number {
  if (mark < BYTES_SHOWN - width) return 0
  return (Math.floor(mark / width) - LINES_BEFORE) * width
}

interface LineProps {
  readonly bytes: Uint8Array
  readonly at: number
  readonly width: number
  readonly mark: number | undefined
}

function Line({ bytes, at, width, mark }: LineProps) {
  const offset = at.toString(16).padStart(4, '0')
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0'))
  const text = Array.from(bytes, (byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '.'))
  const place = mark === undefined ? -1 : mark - at
  if (place < 0 || place >= width) {
    return (
      <span>
        <i>{offset}</i>
        {`  ${hex.join(' ').padEnd(width * 3 - 1)}  ${text.join('')}`}
        {'\n'}
      </span>
    )
  }
  // Behind the last byte there is nothing to mark but its place.
  const [marked = '··', sign = '·'] = [hex[place], text[place]]
  const before = hex.slice(0, place).map((pair) => `${pair} `)
  const after = hex.slice(place + 1).map((pair) => ` ${pair}`)
  return (
    <span>
      <i>{offset}</i>
      {`  ${before.join('')}`}
      <mark>{marked}</mark>
      {`${after.join('').padEnd((width - place - 1) * 3)}  ${text.slice(0, place).join('')}`}
      <mark>{sign}</mark>
      {text.slice(place + 1).join('')}
      {'\n'}
    </span>
  )
}
