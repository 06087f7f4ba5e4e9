/** Owns what the servers are known to do otherwise than Autobahn's suite wants, with the reason. All else is `OK`. */

import { LIVE_COMMAND_BYTES_CUT } from '../../platform/limits.ts'
import type { ServerKind } from './echo.ts'

/** What the suite says of one case. */
export type Behavior = 'OK' | 'NON-STRICT' | 'INFORMATIONAL' | 'FAILED' | 'UNIMPLEMENTED' | 'WRONG CODE' | 'UNCLEAN'

/** By the case's id, in the suite's order. */
export type Results = ReadonlyMap<string, Behavior>

export interface Difference {
  readonly cases: readonly string[]
  readonly servers: readonly ServerKind[]
  readonly behavior: Behavior
  readonly why: string
  /** As it happens they are `OK`. */
  readonly isOkToo?: boolean
}

const range = (prefix: string, from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `${prefix}.${from + index}`)

const BOTH = ['uws', 'node'] as const

export const DIFFERENCES: readonly Difference[] = [
  {
    cases: ['3.2', '3.3', '3.4', '4.1.3', '4.1.4', '4.1.5', '4.2.3', '4.2.4', '4.2.5', '5.15'],
    servers: ['uws'],
    behavior: 'NON-STRICT',
    why: 'Or OK. The suite sends a good message and a frame against the protocol right behind it. If both come at once, the connection is cut before the answer to the first has left; RFC 6455 allows that.',
    isOkToo: true,
  },
  {
    cases: range('6.4', 1, 4),
    servers: BOTH,
    behavior: 'NON-STRICT',
    why: 'Text that is no UTF-8 is refused when its message is whole, not at the frame that broke it.',
  },
  {
    cases: ['7.1.6', '7.13.1', '7.13.2'],
    servers: BOTH,
    behavior: 'INFORMATIONAL',
    why: 'RFC 6455 does not say what is right: a close right behind a message of 256 KiB, and close codes above 4999.',
  },
  {
    cases: [
      ...[...range('9.1', 2, 6), ...range('9.2', 2, 6), ...range('9.3', 1, 9), ...range('9.4', 1, 9)],
      ...[...range('9.5', 1, 6), ...range('9.6', 1, 6)],
    ],
    servers: BOTH,
    behavior: 'FAILED',
    why: `By intent: these send a message of 256 KiB to 16 MiB, and the gateway takes ${LIVE_COMMAND_BYTES_CUT / 1024} KiB at most; who sends more is cut.`,
  },
]

/** What is declared of a case; undefined if it is to be `OK`. */
export function differenceOf(kind: ServerKind, id: string): Difference | undefined {
  return DIFFERENCES.find(({ cases, servers }) => servers.includes(kind) && cases.includes(id))
}

/** The cases whose result is not what is declared, with it. */
export function surprises(kind: ServerKind, results: Results): Record<string, Behavior> {
  const isDeclared = (id: string, behavior: Behavior) => {
    const { behavior: declared = 'OK', isOkToo = false } = differenceOf(kind, id) ?? {}
    return behavior === declared || (isOkToo && behavior === 'OK')
  }
  return Object.fromEntries([...results].filter(([id, behavior]) => !isDeclared(id, behavior)))
}
