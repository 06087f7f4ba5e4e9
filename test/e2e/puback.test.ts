/** Looks at the system calls: no PUBACK is written to a socket before its commit was flushed to the disk. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import mqttPacket, { type Packet } from 'mqtt-packet'
import { scratchDirectory } from '../scratch.ts'
import { requireProgram } from '../servers/server.ts'
import { RunningPlatform } from './platform.ts'

const MESSAGES = 50

test('each PUBACK follows an fdatasync and the write of the meta page that came after its PUBLISH', async (t) => {
  const strace = requireProgram(t, 'strace', 'apt install strace')
  if (strace === undefined) return
  const trace = join(scratchDirectory(t), 'trace')
  const calls = 'trace=read,write,writev,fdatasync,pwrite64'
  const under = [strace, '-D', '-f', '-qq', '-xx', '-s', '4096', '-e', calls, '-e', 'signal=none', '-o', trace]
  const platform = await RunningPlatform.start(t, { roles: 'broker', under })
  // Slow enough for each PUBACK to have a commit of its own to wait for.
  const summary = await platform.simulate('--devices', '1', '--messages', String(MESSAGES), '--rate', '20')
  assert.equal(summary.acknowledged, MESSAGES)
  await platform.stop()

  const acknowledged = acknowledgedIn(readFileSync(trace, 'latin1'))
  // The device's retained status is acknowledged too, when it comes and when it goes.
  assert(acknowledged.length >= MESSAGES, `${acknowledged.length} PUBACKs are in the trace`)
  const early = acknowledged.filter((puback) => puback.after !== 'durable')
  assert.deepEqual(early, [], 'a PUBACK was written before its commit was on the disk')
})

/** How far a message had come: read from its socket, flushed by an fdatasync, committed by the meta page (O_DSYNC). */
type Progress = 'read' | 'flushed' | 'durable'

/** Each PUBACK of a trace, in the order in which the calls returned, with how far its PUBLISH had come by then. */
function acknowledgedIn(trace: string): { id: number; after: Progress | undefined }[] {
  const META_BYTES = '128'
  const acknowledged: { id: number; after: Progress | undefined }[] = []
  const messages = new Map<number, Progress>()
  const advance = (from: Progress, to: Progress) => {
    for (const [id, progress] of messages) if (progress === from) messages.set(id, to)
  }
  const begun = new Map<string, string>()
  for (const line of trace.split('\n')) {
    const [, pid = '', rest = ''] = /^(\d+)\s+(.*)$/.exec(line) ?? []
    if (rest.endsWith('<unfinished ...>')) {
      begun.set(pid, rest.replace('<unfinished ...>', ''))
      continue
    }
    const call = rest.startsWith('<...') ? `${begun.get(pid) ?? ''}${rest.replace(/^<\.\.\. \w+ resumed>/, '')}` : rest
    if (/^fdatasync\(/.test(call) && call.endsWith('= 0')) advance('read', 'flushed')
    else if (/^pwrite64\(/.test(call) && call.endsWith(`= ${META_BYTES}`)) advance('flushed', 'durable')
    else if (/^read\(/.test(call)) {
      for (const packet of packetsIn(bytesOf(call))) {
        if (packet.cmd === 'publish' && packet.topic.startsWith('devices/')) messages.set(packet.messageId ?? 0, 'read')
      }
    } else if (/^writev?\(/.test(call)) {
      for (const { cmd, messageId: id = 0 } of packetsIn(bytesOf(call))) {
        if (cmd !== 'puback') continue
        acknowledged.push({ id, after: messages.get(id) })
        messages.delete(id)
      }
    }
  }
  return acknowledged
}

/** The bytes that a call read or wrote, of which strace shows the first `-s`. */
function bytesOf(call: string): Buffer {
  const quoted = [...call.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, hex = '']) => hex.replaceAll('\\x', ''))
  return Buffer.from(quoted.join(''), 'hex')
}

/** The whole packets that the bytes begin with. */
function packetsIn(bytes: Buffer): Packet[] {
  const found: Packet[] = []
  const parser = mqttPacket.parser()
  parser.on('packet', (packet) => found.push(packet))
  // Files are read by the same call, and are no packets.
  parser.on('error', () => {})
  parser.parse(bytes)
  return found
}
