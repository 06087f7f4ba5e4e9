/** Owns which plants there are and how one is judged: those in sources, those of a proxy, and what was found of each. */

import type { Finding } from '../../devices/simulator/report/summary.ts'
import { sourceOf } from './changed-tree.ts'
import { type Change, type Found, PLANTS, type Plant } from './plants.ts'
import { faults } from './proxy.ts'
import { isOfTime, type OnSlow, tryUnlessSlow } from './second-try.ts'
import type { Outcome, TrialOptions } from './trial.ts'

/** A fault, and how it is tried. */
export interface Tried {
  readonly name: string
  readonly found: Found
  readonly trial: Omit<TrialOptions, 'seconds'>
}

const UNCHANGED = { changes: [], kills: 0 } as const

/** By a man in the middle, with the build as it is. */
const BETWEEN: readonly Tried[] = [
  {
    name: 'a proxy acknowledges a message and drops it',
    found: { codes: ['lost'], stages: ['broker'] },
    trial: { ...UNCHANGED, onPublish: faults.drops(40) },
  },
  {
    name: 'a proxy sends a message twice',
    found: {
      codes: ['duplicated', 'live-duplicated', 'unbalanced'],
      stages: ['broker', 'log', 'live', 'books'],
      // Of a batch that is there again the first reading comes after the last.
      besides: ['duplicated at dead-letters', 'out-of-order at broker'],
    },
    trial: { ...UNCHANGED, onPublish: faults.doubles(40) },
  },
  {
    name: 'a proxy alters a message',
    // What has another time, or is a bad message, is there as something that nobody sent, and not there as what it was.
    found: {
      codes: ['altered', 'set-aside'],
      stages: ['broker', 'log', 'ingest', 'dead-letters'],
      besides: ['invented at dead-letters', 'lost at dead-letters', 'lost at broker'],
    },
    trial: { ...UNCHANGED, onPublish: faults.alters(40) },
  },
  {
    name: 'a proxy holds a message back, and lets others by',
    found: { codes: ['out-of-order', 'live-late', 'late'], stages: ['broker', 'log', 'live'] },
    trial: { ...UNCHANGED, onPublish: faults.delays(40, 1_500) },
  },
  {
    name: 'a proxy before the store says that a write is stored, and drops it',
    found: { codes: ['lost'], stages: ['store', 'ingest'] },
    trial: { ...UNCHANGED, influx: true, dropsWrites: 5 },
  },
]

export const ALL: readonly Tried[] = [...PLANTS.map(tried), ...BETWEEN]

function tried({ name, found, changes, needs = {} }: Plant): Tried {
  const { kills = 0, influx = false } = needs
  return { name, found, trial: { changes: planted(changes), kills, influx } }
}

/** The sources with the mistake in them; throws if its place is not there, or is there more than once. */
function planted(changes: readonly Change[]) {
  return changes.map(({ file, find, replace }) => {
    const parts = sourceOf(file).split(find)
    if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times, and not once: ${find}`)
    return { file, text: parts.join(replace) }
  })
}

/** Of two readings of one time the later is lost: the store has the earlier. */
const OF_A_LOSS = 'out-of-order at ingest'

export interface Judgement {
  /** It was found, where it is, and nothing else was but what follows from it, or came late. */
  readonly isRight: boolean
  readonly outcome: Outcome
  /** The finding that is right, or the first. */
  readonly finding: Finding | undefined
  /** What was found beside it and does not follow from it. */
  readonly strays: readonly Finding[]
}

export async function tryPlant({ found, trial }: Tried, seconds: number, onSlow?: OnSlow): Promise<Judgement> {
  const isFound = ({ code, stage }: Finding) => found.codes.includes(code) && found.stages.includes(stage)
  const isWanted = ({ findings }: Outcome) => findings.some(isFound)
  const { outcome } = await tryUnlessSlow({ ...trial, seconds }, onSlow, isWanted)
  const { findings } = outcome
  const right = findings.find(isFound)
  const besides = [...(found.besides ?? []), ...(found.codes.includes('lost') ? [OF_A_LOSS] : [])]
  const follows = (each: Finding) => isFound(each) || besides.includes(`${each.code} at ${each.stage}`)
  const strays = findings.filter((each) => !follows(each) && !isOfTime(each))
  return { isRight: right !== undefined && strays.length === 0, outcome, finding: right ?? findings[0], strays }
}
