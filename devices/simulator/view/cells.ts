/**
 * Owns lines of a terminal: pieces of text with their colour, cut to the cells that there are. Always true: a line is never wider than it
 * was asked to be, for what may be two cells wide counts as two.
 */

export type Colour = 'plain' | 'bold' | 'soft' | 'good' | 'warn' | 'bad'
export type Piece = string | readonly [text: string, colour: Colour]
export type Line = readonly Piece[]

/** SGR (ECMA-48 section 8.3.117): bright and dim, and the sixteen colours that every theme has. */
const SGR: Readonly<Record<Colour, string>> = { plain: '', bold: '1', soft: '2', good: '32', warn: '33', bad: '31' }

/** Latin, arrows, an ellipsis, and what bars are drawn with. */
const ONE_CELL = /[\u0020-\u02ff\u2026\u2190-\u21ff\u2500-\u259f]/u

export function cellsOf(text: string): number {
  let cells = 0
  for (const character of text) cells += ONE_CELL.test(character) ? 1 : 2
  return cells
}

export const cellsOfLine = (line: Line): number =>
  line.reduce((sum, piece) => sum + cellsOf(typeof piece === 'string' ? piece : piece[0]), 0)

/** As many characters as fit. */
function fitting(text: string, cells: number): string {
  let left = cells
  let kept = ''
  for (const character of text) {
    left -= cellsOf(character)
    if (left < 0) break
    kept += character
  }
  return kept
}

const coloured = (text: string, code: string): string =>
  code === '' || text === '' ? text : `\u001b[${code}m${text}\u001b[0m`

/** With an ellipsis where it was cut. */
export function drawn(line: Line, { columns, isColoured }: { columns: number; isColoured: boolean }): string {
  const pieces = line.map((piece) => (typeof piece === 'string' ? ([piece, 'plain'] as const) : piece))
  const isCut = cellsOfLine(line) > columns
  let left = isCut ? columns - 1 : columns
  let text = ''
  for (const [words, colour] of pieces) {
    const shown = fitting(words, left)
    text += coloured(shown, isColoured ? SGR[colour] : '')
    // What comes after the first that is cut would stand in its place.
    left = shown === words ? left - cellsOf(shown) : 0
  }
  return isCut ? `${text}…` : text
}

const EIGHTHS = '▁▂▃▄▅▆▇█'

/** The last values, one cell each, against the largest that there may be. */
export function sparkline(values: readonly number[], max: number, cells: number): string {
  const shown = values.slice(-Math.max(0, cells))
  const step = (value: number) => Math.min(EIGHTHS.length - 1, Math.floor((value / max) * EIGHTHS.length))
  return cells > 0 && max > 0 ? shown.map((value) => EIGHTHS[Math.max(0, step(value))] ?? '').join('') : ''
}

/** `share` from 0 to 1. */
export function bar(share: number, cells: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * cells)
  return '█'.repeat(full) + '░'.repeat(cells - full)
}
