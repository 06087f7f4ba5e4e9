/**
 * Owns what may reach a terminal: text that came from outside (payloads, reasons of a store, ids) with what steers a
 * terminal or turns the direction of writing shown as an escape, `\u001b`. JSON that a program reads needs none of it.
 */

/** Control characters (C0, DEL, C1), line and paragraph separators, bidirectional embeddings, overrides and isolates. */
const STEERING = /[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu

/** One line of text. */
export function printable(text: string): string {
  return text.replace(STEERING, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Text whose line ends are meant; each line after the first follows `indent`. */
export const printableLines = (text: string, indent = ''): string => text.split('\n').map(printable).join(`\n${indent}`)
