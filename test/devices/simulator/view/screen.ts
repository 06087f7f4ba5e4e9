/**
 * Owns what a person sees on a terminal: the cells of a screen, as the control sequences of `log-update` change them (ECMA-48; the rest of
 * them fails the test). Lines that are too long wrap, and at the bottom all scrolls up.
 */

import assert from 'node:assert/strict'

/** CSI with its parameters, a control character, or one that is shown. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what a terminal is controlled by.
const TOKEN = /\u001b\[([?\d;]*)([A-Za-z])|[\u0000-\u001f]|./gsu

export class Screen {
  readonly rows: number
  readonly columns: number
  #lines: string[][]
  #row = 0
  #column = 0
  isCursorShown = true
  /** How often a line has gone on in the next one. */
  wraps = 0

  constructor(rows: number, columns: number) {
    this.rows = rows
    this.columns = columns
    this.#lines = Array.from({ length: rows }, () => [])
  }

  /** Without the spaces at the end of lines, and without empty lines at the end. */
  get text(): string {
    return this.#lines
      .map((cells) =>
        Array.from(cells, (cell) => cell ?? ' ')
          .join('')
          .trimEnd(),
      )
      .join('\n')
      .trimEnd()
  }

  write(text: string): void {
    for (const [token, parameters, command] of text.matchAll(TOKEN)) {
      if (command !== undefined) this.#command(command, parameters ?? '')
      else if (token === '\r') this.#column = 0
      else if (token === '\n') this.#down()
      else if (token >= ' ') this.#put(token)
    }
  }

  #command(command: string, parameters: string): void {
    const number = Math.max(1, Number(parameters) || 1)
    if (command === 'A') this.#row = Math.max(0, this.#row - number)
    else if (command === 'B') this.#row = Math.min(this.rows - 1, this.#row + number)
    else if (command === 'G') this.#column = number - 1
    else if (command === 'H') [this.#row, this.#column] = [0, 0]
    else if (command === 'K') this.#eraseLine(parameters)
    else if (command === 'J') this.#eraseBelow()
    else if (parameters === '?25') this.isCursorShown = command === 'h'
    else assert(command === 'm' || parameters === '?2026', `CSI ${parameters}${command} is known`)
  }

  #eraseLine(parameters: string): void {
    const from = parameters === '2' ? 0 : this.#column
    this.#lines[this.#row] = (this.#lines[this.#row] ?? []).slice(0, from)
  }

  #eraseBelow(): void {
    this.#eraseLine('')
    for (let row = this.#row + 1; row < this.rows; row++) this.#lines[row] = []
  }

  #put(character: string): void {
    if (this.#column >= this.columns) {
      this.wraps++
      this.#column = 0
      this.#down()
    }
    const line = this.#lines[this.#row] ?? []
    line[this.#column++] = character
    this.#lines[this.#row] = line
  }

  #down(): void {
    if (this.#row < this.rows - 1) this.#row++
    else this.#lines = [...this.#lines.slice(1), []]
  }
}
