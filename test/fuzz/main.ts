/**
 * The long form of the fuzzing: `npm run fuzz -- [--payloads 1000000] [--packets 1000000] [--avro 200000] [--protobuf 200000] [--seed N]`. Avro
 * and Protobuf are compared with the libraries of PyPI, which have to be installed (`test/servers/python.ts`; `--avro 0` leaves it out). Prints what it did and
 * how the resident memory went; ends with 1 if something crashed, threw, or grew by more than `GROWTH_BYTES_MAX`.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { memory } from '../../bench/proc.ts'
import { RunningPlatform } from '../e2e/platform.ts'
import { freePort } from '../servers/server.ts'
import { fuzzAvro } from './avro.ts'
import { fuzzDevices } from './devices.ts'
import { fuzzPackets } from './packets.ts'
import { fuzzPayloads } from './payloads.ts'
import { fuzzProtobuf } from './protobuf.ts'

const GROWTH_BYTES_MAX = 64 * 2 ** 20
const ROUNDS = 10

const { values } = parseArgs({
  options: {
    payloads: { type: 'string', default: '1000000' },
    packets: { type: 'string', default: '1000000' },
    avro: { type: 'string', default: '200000' },
    protobuf: { type: 'string', default: '200000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
  },
})
const seed = Number(values.seed)
console.log(`seed ${seed}`)

const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`
let failed = false

function judge(what: string, before: number, after: number): void {
  const grew = after - before > GROWTH_BYTES_MAX
  failed ||= grew
  console.log(`${what}: resident memory ${mebibytes(before)} -> ${mebibytes(after)}${grew ? ', GREW' : ''}`)
}

const avroMessages = Number(values.avro)
if (avroMessages > 0) console.log(`Avro: ${JSON.stringify(await fuzzAvro(avroMessages, seed))}`)
const messages = Number(values.protobuf)
if (messages > 0) console.log(`Protobuf: ${JSON.stringify(await fuzzProtobuf(messages, seed))}`)

const payloads = fuzzPayloads(Number(values.payloads), seed)
console.log(`${payloads.payloads} payloads: ${payloads.decoded} decoded, rejected ${JSON.stringify(payloads.rejected)}`)
judge('decoder', payloads.residentBefore, payloads.residentAfter)

const directory = await mkdtemp(join(tmpdir(), 'telltale-fuzz-'))
const ports = { mqtt: await freePort(), gateway: await freePort() }
const platform = new RunningPlatform(directory, ports, { environment: { TELLTALE_LOG_LEVEL: 'error' } })
try {
  await platform.start()
  const residentBytes = () => memory(platform.pid).own + memory(platform.pid).mapped
  const target = { port: platform.mqttPort, devices: await fuzzDevices(platform) }
  let before = 0
  for (let round = 0; round < ROUNDS; round++) {
    const report = await fuzzPackets(Math.ceil(Number(values.packets) / ROUNDS), seed + round, target)
    await platform.settled()
    const resident = residentBytes()
    // The first rounds warm up caches and code.
    if (round === 2) before = resident
    console.log(`packets ${JSON.stringify(report)}, resident memory ${mebibytes(resident)}`)
  }
  judge('platform', before, residentBytes())
  console.log(`ledger ${JSON.stringify(await platform.settled())}`)
  failed ||= (await platform.stop()) !== 0
} finally {
  await platform.kill()
  await rm(directory, { recursive: true, force: true })
}
process.exitCode = failed ? 1 : 0
