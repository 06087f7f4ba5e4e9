/** Owns a run of all statements against one broker. Statements run a few at a time, each with clients and topics of its own. */

import { basicsStatements } from './basics-statements.ts'
import { connectStatements } from './connect-statements.ts'
import { publishStatements } from './publish-statements.ts'
import { Bed, type Ports, type Statement } from './statement.ts'
import { subscribeStatements } from './subscribe-statements.ts'

const AT_ONCE = 8

const sections: readonly (readonly [file: string, statements: readonly Statement[]])[] = [
  ['basics', basicsStatements],
  ['connect', connectStatements],
  ['publish', publishStatements],
  ['subscribe', subscribeStatements],
]

/** All statements, in the order of the specification, each with the file that tries it. */
export const statements: readonly (Statement & { readonly file: string })[] = sections
  .flatMap(([file, all]) => all.map((statement) => ({ ...statement, file: `${file}-statements.ts` })))
  .sort((a, b) => a.id.localeCompare(b.id, 'en', { numeric: true }))

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
