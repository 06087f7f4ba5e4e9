/** The view of a run on a terminal that is one: a pseudo-terminal of the kernel's, which Python opens, and keys that are pressed in it. */

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { requireProgram } from '../../../servers/server.ts'
import { ROOT } from '../../../tree.ts'
import { until } from '../../../until.ts'
import { Screen } from './screen.ts'

const PROGRAM = ['--import', 'tsx', join(ROOT, 'test/devices/simulator/view/shown-run.ts')]

/** Runs a program on a terminal of its own. On its input: `size ROWS COLUMNS`, `keys JSON`, `kill SIGNAL`. At the end it says how the terminal was left. */
const TERMINAL = `
import fcntl, json, os, pty, select, struct, sys, termios
def resize(fd, rows, columns): fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
child, fd = pty.fork()
if child == 0:
    resize(0, int(sys.argv[1]), int(sys.argv[2]))
    os.execvp(sys.argv[3], sys.argv[3:])
asked, rest = [fd, 0], ''
while True:
    for ready in select.select(asked, [], [])[0]:
        if ready == 0:
            said = os.read(0, 65536)
            if not said: asked.remove(0)
            *lines, rest = (rest + said.decode()).split('\\n')
            for line in lines:
                word, _, what = line.partition(' ')
                if word == 'size': resize(fd, *map(int, what.split()))
                elif word == 'keys': os.write(fd, json.loads(what).encode())
                elif word == 'kill': os.kill(child, int(what))
        else:
            try: data = os.read(fd, 65536)
            except OSError: data = b''
            if data: os.write(1, data)
            else:
                status = os.waitpid(child, 0)[1]
                flags = termios.tcgetattr(fd)[3]
                left = {'status': status, 'isEdited': bool(flags & termios.ICANON), 'isEchoed': bool(flags & termios.ECHO)}
                sys.stderr.write(json.dumps(left))
                sys.exit(0)`

/** A terminal, and the program on it. */
class Terminal {
  screen: Screen
  #child: ChildProcess
  #said = ''
  #isClosed = false

  constructor(t: TestContext, python: string, rows: number, columns: number) {
    this.screen = new Screen(rows, columns)
    const program = [process.execPath, ...PROGRAM]
    this.#child = spawn(python, ['-c', TERMINAL, String(rows), String(columns), ...program], { cwd: ROOT })
    t.after(() => this.#child.kill('SIGKILL'))
    this.#child.once('close', () => {
      this.#isClosed = true
    })
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => this.screen.write(text))
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said += text
    })
  }

  press(keys: string): void {
    this.#child.stdin?.write(`keys ${JSON.stringify(keys)}\n`)
  }

  kill(signal: 'SIGTERM'): void {
    this.#child.stdin?.write(`kill ${constants.signals[signal]}\n`)
  }

  /** Where a terminal moves what is on it then is its own affair: here it is anywhere, and the cursor at the bottom. */
  resize(rows: number, columns: number): void {
    this.screen = new Screen(rows, columns)
    this.screen.write('moved\r\n'.repeat(rows))
    this.#child.stdin?.write(`size ${rows} ${columns}\n`)
  }

  shows(text: string | RegExp): Promise<void> {
    const isShown = () => (typeof text === 'string' ? this.screen.text.includes(text) : text.test(this.screen.text))
    return until(isShown, () => `${text}, on:\n${this.screen.text}${this.#said}`)
  }

  async ended(): Promise<{ status: number; isEdited: boolean; isEchoed: boolean }> {
    await until(() => this.#isClosed)
    return JSON.parse(this.#said)
  }
}

function openTerminal(t: TestContext, rows: number, columns: number): Terminal | undefined {
  const python = requireProgram(t, 'python3', 'apt install python3')
  return python === undefined ? undefined : new Terminal(t, python, rows, columns)
}

const WELL = { status: 0, isEdited: true, isEchoed: true }

test('80 x 24: keys choose a device and do something to it, q ends, and the terminal is as it was', async (t) => {
  const terminal = openTerminal(t, 24, 80)
  if (terminal === undefined) return
  await terminal.shows('q end')
  assert.match(terminal.screen.text, /^before\ntwo thousand trucks/)
  for (const [keys, shown] of [
    ['k', 'killed truck-1'],
    ['\u001b[B', 'device     2 truck-2'],
    ['m', 'muted truck-2'],
    ['17', 'device     17 truck-17'],
    ['s', 'skewed truck-17'],
    ['\u001b[A', 'device     16 truck-16'],
  ] as const) {
    terminal.press(keys)
    await terminal.shows(shown)
  }
  assert.equal(terminal.screen.wraps, 0)
  const failures = ['skewed truck-17', 'muted truck-2', 'killed truck-1']
  const lines = terminal.screen.text.split('\n')
  assert.deepEqual(
    lines.slice(-6),
    [
      ...failures.map((reason, index) => `${(index === 0 ? 'failures' : '').padEnd(11)}      1  ${reason}`),
      '',
      'device     16 truck-16 online',
      'k cut its link  m mute it  s its clock +1 min  ↑ ↓ or a number: another  q end',
    ],
    'it is drawn in place',
  )
  assert.deepEqual([lines.length, lines[0]], [19, 'before'])
  terminal.press('q')
  assert.deepEqual(await terminal.ended(), WELL)
  assert.equal(terminal.screen.text, 'before\nended by q')
  assert.equal(terminal.screen.isCursorShown, true)
})

test('Ctrl-C is SIGINT, as it is without a view', async (t) => {
  const terminal = openTerminal(t, 24, 80)
  if (terminal === undefined) return
  await terminal.shows('q end')
  terminal.press('\u0003')
  assert.deepEqual(await terminal.ended(), WELL)
  assert.equal(terminal.screen.text, 'before\nended by SIGINT')
  assert.equal(terminal.screen.isCursorShown, true)
})

for (const [rows, columns] of [
  [24, 40],
  [8, 60],
  [3, 12],
] as const) {
  test(`a terminal of ${columns} x ${rows} is not left, nor is one that becomes so`, async (t) => {
    const small = openTerminal(t, rows, columns)
    const becomes = openTerminal(t, 30, 120)
    if (small === undefined || becomes === undefined) return
    await becomes.shows('q end')
    becomes.resize(rows, columns)
    for (const terminal of [small, becomes]) {
      await terminal.shows(/^(before\n)?two/)
      terminal.press('k')
      if (rows > 3) await terminal.shows('killed')
      terminal.press('q')
      assert.deepEqual(await terminal.ended(), WELL)
      assert.equal(terminal.screen.wraps, 0)
      assert.match(terminal.screen.text, /^(before\n)?ended by q$/)
    }
  })
}

test('if the process ends without a word, lines are edited again and the cursor is seen', async (t) => {
  const terminal = openTerminal(t, 24, 80)
  if (terminal === undefined) return
  await terminal.shows('q end')
  terminal.kill('SIGTERM')
  assert.deepEqual(await terminal.ended(), { ...WELL, status: 3 << 8 })
  assert.equal(terminal.screen.isCursorShown, true)
})

test('in a pipe there are lines, and nothing steers a terminal', async (t) => {
  const child = spawn(process.execPath, PROGRAM, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (data: string) => {
    text += data
  })
  await until(() => text.split('\n').length > 2)
  child.kill('SIGINT')
  await once(child, 'close')
  const line =
    '65s  publishing  1,850/2,000 online  sent 130,410  acknowledged 130,390  2,006/s  reconnects 12  errors 118'
  assert.equal(text.split('\n')[1], line)
  assert.match(text, /\nended by SIGINT\n$/)
  assert(!text.includes('\u001b'))
})
