/**
 * The long form of `why`: causes planted one after the other in a fleet, each named or missed, and how long an answer took; printed as a
 * table, and then those of whole platforms. `npm run why -- 50 200`: devices, causes. Exit code 1 for a miss, or an answer that took longer than a second.
 */

import type { TestContext } from 'node:test'
import { seededRandom } from '../../../devices/simulator/signals/random.ts'
import { PLANTED, type Planted, Site } from './planted.ts'
import { DEVICE, NOT_PLANTED, PLANTED_IN_PLATFORM, type PlantedInPlatform } from './platforms.ts'

const ANSWER_MS_MAX = 1_000
const [devices = 50, causes = 200, seed = 7] = process.argv.slice(2).map(Number)

interface Outcome extends Pick<Planted, 'name' | 'cause'> {
  readonly device: string
  readonly missed: string | undefined
  readonly ms: number
}

const ends: (() => unknown)[] = []
const context = { after: (end: () => unknown) => ends.push(end) } as unknown as TestContext
const site = await Site.start(context)
const random = seededRandom(seed, 0)
const outcomes: Outcome[] = []

async function tryOne(planted: Planted, device: string): Promise<Outcome> {
  const { name, cause, plant } = planted
  try {
    await plant(site, device)
    await site.answers(device, planted)
    return { name, cause, device, missed: undefined, ms: 0 }
  } catch (error) {
    return { name, cause, device, missed: String((error as Error).message).slice(0, 300), ms: 0 }
  }
}

for (let round = 0; outcomes.length < causes; round++) {
  const now = Math.min(devices, causes - outcomes.length)
  const all = Array.from({ length: now }, (_, number) => {
    const planted = PLANTED[random.below(PLANTED.length)] as Planted
    return { planted, device: planted.isOfNew ? `new-${outcomes.length + number}` : `truck-${number}` }
  })
  // One after the other, when none is being planted.
  for (const outcome of await Promise.all(all.map(({ planted, device }) => tryOne(planted, device)))) {
    const asked = performance.now()
    await site.why(outcome.device)
    outcomes.push({ ...outcome, ms: performance.now() - asked })
  }
  await Promise.all(all.map(({ device }) => site.end(device)))
  process.stdout.write(`round ${round + 1}: ${outcomes.length} of ${causes}\n`)
}

/** In a platform of its own, which is gone after it. */
async function tryInPlatform(planted: PlantedInPlatform): Promise<Outcome> {
  const { name, cause, says, plant } = planted
  const own: (() => unknown)[] = []
  try {
    const planted = await plant({ after: (end: () => unknown) => own.push(end) } as unknown as TestContext)
    const { sentence } = await planted.answers(DEVICE, { cause })
    const asked = performance.now()
    await planted.why(DEVICE)
    const missed = says.test(sentence) ? undefined : sentence
    return { name, cause, device: DEVICE, missed, ms: performance.now() - asked }
  } catch (error) {
    return { name, cause, device: DEVICE, missed: String((error as Error).message).slice(0, 300), ms: 0 }
  } finally {
    for (const end of own) await end()
  }
}

for (const planted of PLANTED_IN_PLATFORM) {
  outcomes.push(await tryInPlatform(planted))
  process.stdout.write(`${planted.name}\n`)
}

process.stdout.write('\ncause            planted  missed  slowest ms  what\n')
for (const { name, cause } of [...PLANTED, ...PLANTED_IN_PLATFORM]) {
  const own = outcomes.filter((outcome) => outcome.name === name)
  const missed = own.filter((outcome) => outcome.missed !== undefined).length
  const slowest = Math.max(0, ...own.map(({ ms }) => ms)).toFixed(0)
  const columns = [cause.padEnd(15), String(own.length).padStart(8), String(missed).padStart(7), slowest.padStart(11)]
  process.stdout.write(`${columns.join(' ')}  ${name}\n`)
}
for (const { device, name, missed } of outcomes) {
  if (missed !== undefined) process.stdout.write(`missed: ${device}, ${name}: ${missed}\n`)
}
for (const [cause, reason] of Object.entries(NOT_PLANTED))
  process.stdout.write(`not planted: ${cause}, for ${reason}\n`)
const bad = outcomes.filter(({ missed, ms }) => missed !== undefined || ms > ANSWER_MS_MAX).length
process.stdout.write(`${outcomes.length} planted, ${bad} missed or slow\n`)
await site.stop()
for (const end of ends) await end()
process.exit(bad === 0 ? 0 : 1)
