/** Owns a run of all statements of both levels against one broker: many at a time, each with clients and topics of its own. */

import { basicsStatements } from './basics-statements.ts'
import { connectStatements } from './connect-statements.ts'
import { basicsStatements as basicsStatements5 } from './mqtt5/basics-statements.ts'
import { connackStatements as connackStatements5 } from './mqtt5/connack-statements.ts'
import { connectStatements as connectStatements5 } from './mqtt5/connect-statements.ts'
import { deliveryStatements as deliveryStatements5 } from './mqtt5/delivery-statements.ts'
import { publishStatements as publishStatements5 } from './mqtt5/publish-statements.ts'
import { subscribeStatements as subscribeStatements5 } from './mqtt5/subscribe-statements.ts'
import { publishStatements } from './publish-statements.ts'
import { Bed, type Ports, type Statement } from './statement.ts'
import { subscribeStatements } from './subscribe-statements.ts'

const AT_ONCE = 24

type Sections = readonly (readonly [file: string, statements: readonly Statement[]])[]
/** A statement, and the file that tries it. */
export type Listed = Statement & { readonly file: string }

/** In the order of the specification. */
function inOrder(folder: string, sections: Sections): readonly Listed[] {
  return sections
    .flatMap(([file, all]) => all.map((statement) => ({ ...statement, file: `${folder}${file}-statements.ts` })))
    .sort((a, b) => a.id.localeCompare(b.id, 'en', { numeric: true }))
}

export const statements311 = inOrder('', [
  ['basics', basicsStatements],
  ['connect', connectStatements],
  ['publish', publishStatements],
  ['subscribe', subscribeStatements],
])

export const statements5 = inOrder('mqtt5/', [
  ['basics', basicsStatements5],
  ['connack', connackStatements5],
  ['connect', connectStatements5],
  ['delivery', deliveryStatements5],
  ['publish', publishStatements5],
  ['subscribe', subscribeStatements5],
])

export const statements: readonly Listed[] = [...statements311, ...statements5]

/** `conforms`, or what was found instead. */
export type Results = ReadonlyMap<string, string>

export const CONFORMS = 'conforms'

export async function tryStatements(ports: Ports): Promise<Results> {
  const results = new Map<string, string>()
  const waiting = [...statements.entries()]
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, { id, check }] = next
      if (check === undefined) continue
      const bed = new Bed(ports, `n${index}`)
      try {
        await check(bed)
        results.set(id, CONFORMS)
      } catch (error) {
        results.set(id, (error instanceof Error ? error.message : String(error)).replaceAll('\n', ' '))
      } finally {
        bed.end()
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return results
}
