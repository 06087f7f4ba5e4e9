/** Owns the answers of a store that is asked itself: as text, piece by piece. Throws a `SimulatorError` `store-refused` with the store's own words. */

import { messageOf } from '../../../platform/errors.ts'
import type { Column } from '../../../schemas/reading.ts'
import { SimulatorError } from '../simulator-error.ts'

const WORDS_CHARS_MAX = 300

export async function* storeAnswer(url: string, request: RequestInit): AsyncGenerator<string> {
  const where = new URL(url).origin
  let response: Response
  try {
    response = await fetch(url, request)
  } catch (cause) {
    const why = messageOf((cause as { cause?: unknown }).cause ?? cause)
    throw new SimulatorError('store-refused', `the store at ${where} cannot be reached: ${why}`, { cause })
  }
  if (!response.ok) {
    const words = (await response.text()).slice(0, WORDS_CHARS_MAX)
    throw new SimulatorError('store-refused', `the store at ${where} answered ${response.status}: ${words}`)
  }
  const decoder = new TextDecoder()
  for await (const bytes of response.body ?? []) yield decoder.decode(bytes as Uint8Array, { stream: true })
}

export async function* linesOf(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line !== '') yield line
  }
  if (rest !== '') yield rest
}

/** As apps see it: a list of numbers is kept as text. Undefined of what is not there. */
export function asApps(column: Column, value: unknown): unknown {
  if (value === null || value === undefined) return undefined
  return column.kind.endsWith('[]') ? JSON.parse(String(value)) : value
}
