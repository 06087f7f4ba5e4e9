/** What a person sees of dead letters, and which ones a command means. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { deadLettersCommand } from '../../cli/deadletters/command.ts'
import { ledgerCommand } from '../../cli/ledger.ts'
import type { DeadLetter } from '../../log/log.ts'
import { Decoder } from '../../schemas/decoder.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { readSetAside } from '../../schemas/set-aside-payload.ts'
import { openLog } from '../ingest/log-fixture.ts'
import { append, entry } from '../log/contract.ts'
import { advance } from '../log/dead-letter-contract.ts'
import { at } from '../log/only.ts'
import { scratchDirectory } from '../scratch.ts'
import { telltale } from './telltale.ts'

const registry = Registry.load(SHIPPED_SCHEMAS_DIR)
const decoder = new Decoder(registry)
const RECEIVED_AT = Date.UTC(2025, 10, 23, 12)
const reading = { ts: RECEIVED_AT, temperature: 21.3, humidity: 40, pressure: 1013.25, battery: 90, rssi: -60 }
const good = registry.encode('environment', reading)
const batch = registry.encode('environment', [reading, reading])
const unknown = Buffer.concat([good.subarray(0, 2), Buffer.alloc(8, 0xab), good.subarray(10)])

function described(payload: Buffer, stream = 'environment'): string {
  const letter: DeadLetter = {
    sequence: 1,
    offset: at(0),
    device: 'd',
    stream,
    receivedAt: RECEIVED_AT,
    setAsideAt: RECEIVED_AT,
    code: 'c',
    reason: 'r',
    payload,
  }
  return readSetAside(letter, decoder)
    .lines.map(([name, value]) => `${name}|${value}`)
    .join('\n')
}

const ENVIRONMENT = 'contents|Avro single-object encoding, fingerprint 1cbbb95fb5d067f9, of environment 1\n'
const payloads: [name: string, payload: Buffer, shown: RegExp, stream?: string][] = [
  ['nothing', Buffer.alloc(0), /^contents\|nothing\nnow\|empty:/],
  ['no framing', Buffer.from('hello'), /^contents\|neither Avro.*\nnow\|unknown-framing/],
  ['a short fingerprint', good.subarray(0, 7), /^contents\|it ends inside the fingerprint\nnow\|malformed-avro/],
  [
    'a whole record',
    good,
    new RegExp(`^${ENVIRONMENT}\\|ts +${RECEIVED_AT}\n(.*\n){5}now\\|it can be decoded: 1 reading$`),
  ],
  [
    'a cut record',
    good.subarray(0, 18),
    /\|ts .*\n\|stopped at byte 16: temperature needs 4 bytes, and 2 are left\nnow/,
  ],
  ['bytes too many', Buffer.concat([good, good]), /rssi .*\n\|stopped at byte \d+: \d+ bytes are left over/],
  [
    'a batch',
    batch,
    /, of environment 1, a batch\n\|\[0\]\.ts(.*\n){11}.*\[1\]\.rssi +-60\nnow\|it can be decoded: 2 readings$/,
  ],
  ['a hostile count', batch.subarray(0, 11), /stopped at byte \d+: /],
  ['another stream', good, /, of environment 1\n(.*\n)+now\|wrong-stream/, 'power'],
  ['an unknown fingerprint', unknown, /(ab){8}, of no registered schema\n\|read as environment 1, for want.*\n\|ts /],
  ['an unknown stream', unknown, /of no registered schema\nnow\|unknown-schema/, 'pump'],
  ['JSON', Buffer.from('{"ts":1}'), /^contents\|JSON\n\|\{\n {2}"ts": 1\n\}\nnow\|invalid-reading/],
  [
    'JSON without end',
    Buffer.from(`${'['.repeat(120_000)}${']'.repeat(120_000)}`),
    /^contents\|JSON\n\|(\s*\[\n){32}\s*"\.\.\. deeper than 32 levels"(\n\s*\]){32}\nnow\|invalid-reading/,
  ],
  ['a float32', good, /\|temperature +21\.3\n\|humidity +40\n\|pressure +1013\.25\n/],
  ['no number', registry.encode('environment', { ...reading, temperature: Number.NaN }), /\|temperature +NaN\n/],
  ['bad JSON', Buffer.from('{"ts":}'), /^contents\|JSON: .*6.*\nnow\|malformed-json/],
]

test('a payload is read as far as it goes, and it is said what would become of it now', () => {
  for (const [name, payload, shown, stream] of payloads) assert.match(described(payload, stream), shown, name)
})

test('the commands of docs/dead-letters.md are there, with their options', () => {
  const page = readFileSync(fileURLToPath(new URL('../../docs/dead-letters.md', import.meta.url)), 'utf8')
  const lines = [...page.matchAll(/^ {4}npx telltale ([^#\n]+)/gm)].map(([, line = '']) => line.trim().split(/\s+/))
  assert(lines.length >= 10)
  for (const [name = '', ...words] of lines) {
    const top = [deadLettersCommand(), ledgerCommand()].find((command) => command.name() === name)
    const command = top?.commands.find((each) => each.name() === words[0]) ?? top
    assert(command !== undefined, name)
    for (const option of words.filter((word) => word.startsWith('--'))) {
      assert(
        command.options.some(({ long }) => long === option),
        `${command.name()} ${option}`,
      )
    }
  }
})

test('list, replay and purge mean what the options say, with or without a platform that runs', async (t) => {
  const directory = scratchDirectory(t)
  const log = await openLog(join(directory, 'log'))
  t.after(() => log.stop())
  const payload = Buffer.alloc(0)
  const minute = (number: number) => ({ receivedAt: RECEIVED_AT + number * 60_000, payload })
  await append(log, ...Array.from({ length: 8 }, (_, number) => entry(number, minute(number))))
  await advance(log, 8, (offset) => (offset < 6 ? 'empty' : 'malformed-json'))

  const run = (...args: string[]) => telltale(directory, ['deadletters', ...args])
  const numbers = (text: string) =>
    text
      .split('\n')
      .slice(1, -1)
      .map((line) => Number(line.split(' ')[0]))
  const listed = await run('list', '--since', '2025-11-23T12:02', '--until', '2025-11-23T12:07:00Z', '--limit', '4')
  assert.deepEqual(numbers(listed.stdout), [3, 4, 5, 6])
  assert.match(listed.stderr, /There are more: --after 6 goes on\./)

  assert.equal((await run('purge', '--code', 'malformed-json', '--device', 'device-1')).stdout, 'purged 1\n')
  assert.equal((await run('replay', '1', '2', '7')).stdout, 'replayed 3\n', 'by the process that appends: this one')
  assert.equal((await log.ledger('ingest')).pending, 3)
  const gone = await run('purge', '1', '99')
  assert.deepEqual([gone.code, gone.stdout], [1, ''])
  assert.match(gone.stderr, /there is no dead letter 1, 99: see telltale deadletters list/)
  await log.stop()
  assert.deepEqual(JSON.parse((await run('replay', '--all', '--json')).stdout), { replayed: 4 })
  const { stdout } = await run('count', '--json')
  assert.deepEqual(JSON.parse(stdout), { held: 0, heldBytes: 0, replayed: 7, purged: 1, expired: 0 })
})

test('no payload steers the terminal of whoever looks at it; as JSON it is what it was', async (t) => {
  const directory = scratchDirectory(t)
  const log = await openLog(join(directory, 'log'))
  t.after(() => log.stop())
  const text = JSON.stringify({ a: '\u009b2J', b: '\u202egnp.exe\u2066', c: '\u001b]0;x\u0007' })
  await append(log, entry(0, { receivedAt: RECEIVED_AT, payload: Buffer.from(text) }))
  await advance(log, 1, () => 'invalid-reading')
  const { stdout } = await telltale(directory, ['deadletters', 'show', '1'])
  assert.match(stdout, /"b": "\\u202egnp\.exe\\u2066"/)
  assert.doesNotMatch(stdout.replaceAll('\n', ''), /[\p{Cc}\u2028-\u202e\u2066-\u2069]/u)
  const json = JSON.parse((await telltale(directory, ['deadletters', 'show', '1', '--json'])).stdout)
  assert.equal(Buffer.from(json.payload, 'base64').toString(), text)
  assert.deepEqual(json.contents.json, JSON.parse(text))
})
