/**
 * Owns the answer to "where does this JSON go wrong?". Node's parser says the position for some faults and not for
 * others, and the sender needs it. Runs only for text that `JSON.parse` has refused, where somebody is told of it; linear
 * in the text.
 */

import { quote } from './values.ts'

const TOKEN =
  /[\t\n\r ]*(?:("(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)|([[\]{},:]))/y

/** A string that is right as far as it goes, and does not end. */
const CUT_STRING = /"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*(?:\\(?:u[0-9a-fA-F]{0,3})?)?$/y

/** What may come next: `value`, or in an array just opened a value or `]`, and so on. */
type Expected = 'value' | 'value or ]' | 'key' | 'key or }' | ':' | ', or ]' | ', or }' | 'the end'

/** A sentence that says at which character the first fault is and what would be right there. */
export function jsonFault(text: string): string {
  const open: string[] = []
  let expected: Expected = 'value'
  let at = 0
  for (;;) {
    TOKEN.lastIndex = at
    const match = TOKEN.exec(text)
    const next: Expected | undefined = match ? after(expected, match[1], match[2], open) : undefined
    if (!match || next === undefined) return describe(text, at, expected)
    expected = next
    at = TOKEN.lastIndex
  }
}

function describe(text: string, from: number, expected: Expected): string {
  let at = from
  while (at < text.length && '\t\n\r '.includes(text.charAt(at))) at++
  CUT_STRING.lastIndex = at
  if ((expected.startsWith('value') || expected.startsWith('key')) && CUT_STRING.test(text)) {
    return `the JSON is malformed: at position ${text.length} the text ends within the string that begins at position ${at}`
  }
  const found = at >= text.length ? 'the text ends' : `${quote(text.slice(at, at + 10))} stands`
  return `the JSON is malformed: at position ${at} ${found} where ${expected} is right`
}

/** The state after a token, or undefined if it does not belong there. */
function after(
  expected: Expected,
  scalar: string | undefined,
  mark: string | undefined,
  open: string[],
): Expected | undefined {
  if (expected === 'key' || expected === 'key or }') {
    if (scalar?.startsWith('"')) return ':'
    return mark === '}' && expected === 'key or }' ? close(open) : undefined
  }
  if (expected === ':') return mark === ':' ? 'value' : undefined
  if (expected === 'value' || expected === 'value or ]') {
    if (scalar !== undefined) return afterValue(open)
    if (mark === ']' && expected === 'value or ]') return close(open)
    if (mark !== '{' && mark !== '[') return undefined
    open.push(mark)
    return mark === '{' ? 'key or }' : 'value or ]'
  }
  if (mark === ',' && expected !== 'the end') return expected === ', or }' ? 'key' : 'value'
  if ((mark === ']' && expected === ', or ]') || (mark === '}' && expected === ', or }')) return close(open)
  return undefined
}

function close(open: string[]): Expected {
  open.pop()
  return afterValue(open)
}

function afterValue(open: readonly string[]): Expected {
  const innermost = open.at(-1)
  if (innermost === undefined) return 'the end'
  return innermost === '{' ? ', or }' : ', or ]'
}
