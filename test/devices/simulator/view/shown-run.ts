/**
 * A program of the tests: shows a run under way on its terminal, or by lines in a pipe, until it is told to end. What keys do is told as
 * failures, which the view shows. `node --import tsx shown-run.ts`
 */

import { Counts } from '../../../../devices/simulator/fleet/tally.ts'
import { Totals } from '../../../../devices/simulator/run/totals.ts'
import { PlainView } from '../../../../devices/simulator/view/plain.ts'
import { TerminalView } from '../../../../devices/simulator/view/terminal.ts'
import { RECORD } from '../report/finished-run.ts'
import { RUNNING } from './running.ts'

const told: string[] = []
const tell = (what: string) => (device: string) => void told.unshift(`${what} ${device}`)
const read = () => ({ ...RUNNING, failures: told.map((reason) => ({ reason, count: 1 })) })

const totals = new Totals()
totals.counts = Object.assign(new Counts(), { sent: 130_410, acknowledged: 130_390, connected: 1850, reconnects: 12 })
totals.errors = { 'truncated-avro': 118 }

function end(how: string): void {
  view.stop()
  view.stop()
  console.log(`ended by ${how}`)
  clearInterval(alive)
}

const view = process.stdout.isTTY
  ? new TerminalView({
      output: process.stdout,
      input: process.stdin,
      isColoured: true,
      read,
      devices: RUNNING.devices,
      deviceAt: (index) => ({ id: `truck-${index + 1}`, state: 'online' }),
      hand: { kill: tell('killed'), mute: tell('muted'), skew: tell('skewed') },
      end: () => end('q'),
    })
  : new PlainView(process.stdout, () => ({
      phase: 'publishing',
      scenario: RECORD.scenario,
      totals,
      elapsedMs: 65_000,
      problem: undefined,
    }))
/** As the devices' sockets keep a run. */
const alive = setInterval(() => {}, 1000)
process.once('SIGINT', () => end('SIGINT'))
process.once('SIGTERM', () => process.exit(3))
process.stdout.write('before\n')
view.start()
