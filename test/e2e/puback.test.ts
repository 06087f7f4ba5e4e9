/** Looks at the system calls: no PUBACK is written to a socket before its commit was flushed to the disk. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { scratchDirectory } from '../scratch.ts'
import { requireProgram } from '../servers/server.ts'
import { RunningPlatform } from './platform.ts'

const MESSAGES = 50

test('each PUBACK follows an fdatasync and the write of the meta page that came after its PUBLISH', async (t) => {
  const strace = requireProgram(t, 'strace', 'apt install strace')
  if (strace === undefined) return
  const trace = join(scratchDirectory(t), 'trace')
  const calls = 'trace=read,write,writev,fdatasync,pwrite64'
  const under = [strace, '-D', '-f', '-qq', '-xx', '-s', '64', '-e', calls, '-e', 'signal=none', '-o', trace]
  const platform = await RunningPlatform.start(t, { roles: 'broker', under })
  // One message in flight, so that each PUBACK has a commit of its own to wait for.
  const summary = await platform.simulate('--devices', '1', '--messages', String(MESSAGES), '--rate', '20')
  assert.equal(summary.acknowledged, MESSAGES)
  await platform.stop()

  const events = readEvents(readFileSync(trace, 'latin1'))
  const order = events.join('')
  t.diagnostic(`system calls in order: ${order.slice(0, 60)}...`)
  // P: a PUBLISH was read. S: fdatasync returned. M: the meta page was written through O_DSYNC. A: a PUBACK was written.
  // The device's retained status is acknowledged too, when it comes and when it goes; two may share one call.
  assert(order.replace(/[^A]/g, '').length >= MESSAGES, 'the PUBACKs are not in the trace')
  assert.doesNotMatch(order, /P[^SM]*A/, 'a PUBACK came before any flush')
  const waits = order.match(/P[SM]*SM+A/g)?.length ?? 0
  // The first message comes in one segment with the status; on a busy machine others may come together too.
  assert(waits >= MESSAGES * 0.8, `${waits} of ${MESSAGES} PUBACKs came after a flush and the meta page of their own`)
})

/** One letter an event, in the order in which the calls returned. */
function readEvents(trace: string): string[] {
  // QoS 1 with and without the retain flag, two length fields, then the topic: "devices/...".
  const PUBLISH = /"\\x3[23](\\x..){3,4}\\x64\\x65\\x76\\x69\\x63\\x65\\x73\\x2f/
  const PUBACK = /(\(\d+, |iov_base=)"\\x40/
  const META_BYTES = '128'
  const events: string[] = []
  const begun = new Map<string, string>()
  for (const line of trace.split('\n')) {
    const [, pid = '', rest = ''] = /^(\d+)\s+(.*)$/.exec(line) ?? []
    if (rest.endsWith('<unfinished ...>')) {
      begun.set(pid, rest.replace('<unfinished ...>', ''))
      continue
    }
    const call = rest.startsWith('<...') ? `${begun.get(pid) ?? ''}${rest.replace(/^<\.\.\. \w+ resumed>/, '')}` : rest
    if (/^read\(/.test(call) && PUBLISH.test(call)) events.push('P')
    else if (/^fdatasync\(/.test(call) && call.endsWith('= 0')) events.push('S')
    else if (/^pwrite64\(/.test(call) && call.endsWith(`= ${META_BYTES}`)) events.push('M')
    else if (/^writev?\(/.test(call) && PUBACK.test(call)) events.push('A')
  }
  return events
}
