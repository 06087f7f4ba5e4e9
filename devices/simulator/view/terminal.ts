/**
 * Owns the terminal while a run lasts: it is redrawn in place by `log-update`, and keys are read one by one.
 *
 * Always true: after `stop()` the terminal is as it was, its lines edited by itself, and nothing of the view left on it; the former also if the
 * process ends otherwise, for Node sees to it, and the cursor is never hidden. (To show it again at an end, `log-update` listens to signals
 * by `signal-exit`, which ends the process at a SIGINT whose other listener was a `once`.) Ctrl-C is what it is without the view: SIGINT. Bound: `DRAW_MS` between two drawings, but for keys and for a change of size.
 */

import { emitKeypressEvents } from 'node:readline'
import { createLogUpdate } from 'log-update'
import { frameOf } from './frame.ts'
import { type Key, Keys, type KeysDeps } from './keys.ts'
import type { Moment } from './moment.ts'
import type { View } from './view.ts'

const DRAW_MS = 500
/** All before it is shown, too; `log-update` counts lines, and a terminal that is made narrower has more of them. */
const CLEAR_SCREEN = '\u001b[H\u001b[J'
const COLUMNS_DEFAULT = 80
const ROWS_DEFAULT = 24

export interface TerminalDeps extends KeysDeps {
  /** A terminal. */
  readonly output: NodeJS.WriteStream
  /** Keys are read if it is a terminal. */
  readonly input: NodeJS.ReadStream
  readonly isColoured: boolean
  readonly read: () => Moment
  /** Ctrl-C: SIGINT to this process, where a test does not ask for something else. */
  readonly interrupt?: () => void
}

export class TerminalView implements View {
  readonly #deps: TerminalDeps
  readonly #keys: Keys
  readonly #log: ReturnType<typeof createLogUpdate>
  #lineCount = 0
  #timer: NodeJS.Timeout | undefined

  constructor(deps: TerminalDeps) {
    this.#deps = deps
    this.#keys = new Keys(deps)
    this.#log = createLogUpdate(deps.output, { showCursor: true })
  }

  start(): void {
    const { input, output } = this.#deps
    this.#timer = setInterval(this.#draw, DRAW_MS)
    this.#timer.unref()
    output.on('resize', this.#onResize)
    if (input.isTTY) {
      emitKeypressEvents(input)
      input.setRawMode(true)
      input.on('keypress', this.#onKey)
      input.resume()
    }
    this.#draw()
  }

  stop(): void {
    if (this.#timer === undefined) return
    clearInterval(this.#timer)
    this.#timer = undefined
    const { input, output } = this.#deps
    output.off('resize', this.#onResize)
    if (input.isTTY) {
      input.off('keypress', this.#onKey)
      input.setRawMode(false)
      input.pause()
    }
    this.#log.clear()
    this.#log.done()
  }

  readonly #draw = (): void => {
    const { output, input, isColoured, read } = this.#deps
    const { columns = COLUMNS_DEFAULT, rows = ROWS_DEFAULT } = output
    // The last line is the cursor's; a line that fills its row would wrap on some terminals.
    const size = { columns: columns - 1, rows: rows - 1 }
    const chosen = input.isTTY ? this.#keys.chosen : undefined
    const lines = frameOf(read(), { ...size, isColoured, chosen })
    // log-update 7.2 writes more lines, or fewer, over those before, and leaves alone what is below and the same, though it has to move.
    if (lines.length !== this.#lineCount) this.#log.clear()
    this.#lineCount = lines.length
    this.#log(lines.join('\n'))
  }

  readonly #onResize = (): void => {
    this.#log.clear()
    this.#deps.output.write(CLEAR_SCREEN)
    this.#draw()
  }

  readonly #onKey = (_: string | undefined, key: Key): void => {
    if (key.ctrl && key.name === 'c') (this.#deps.interrupt ?? interrupt)()
    else if (!key.ctrl) this.#keys.press(key)
    // What a key did may have ended the view.
    if (this.#timer !== undefined) this.#draw()
  }
}

const interrupt = (): void => {
  process.kill(process.pid, 'SIGINT')
}
