/**
 * Owns how the gateway's sentences are drawn: what stands between backticks is a command, a file or a setting; times are as the reader chose.
 */

import { inOwnTime } from './time.ts'

export function Words({ text }: { readonly text: string }) {
  return (
    <>
      {inOwnTime(text)
        .split('`')
        .map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))}
    </>
  )
}
