/**
 * Owns which Kafka the tests start (`pom.xml` says it) and where it is kept: in `.kafka`, which git does not see and which stays between
 * runs. `npm run test:kafka` fetches it by Maven: 45 files, 43 MB.
 */

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram, MissingServer } from '../servers/server.ts'
import { ROOT } from '../tree.ts'

const POM = join(ROOT, 'test/kafka/pom.xml')
const FOLDER = join(ROOT, '.kafka')
/** What was fetched by. */
const FETCHED = join(FOLDER, 'fetched.xml')
const HINT = 'apt install default-jre-headless'
const FETCH = 'npm run test:kafka'

export function fetchKafka(): void {
  if (isFetched()) return
  findProgram('java', HINT)
  const maven = findProgram('mvn', 'apt install maven')
  const partial = `${FOLDER}.${process.pid}`
  const args = ['-B', '-q', '-f', POM, 'dependency:copy-dependencies', `-DoutputDirectory=${partial}`]
  execFileSync(maven, args, { stdio: 'inherit' })
  rmSync(FOLDER, { recursive: true, force: true })
  renameSync(partial, FOLDER)
  writeFileSync(FETCHED, readFileSync(POM))
}

/** How Java is started for it. Throws `MissingServer` if it is not there. */
export function kafkaProgram(): { readonly java: string; readonly classPath: string } {
  const java = findProgram('java', HINT)
  if (!isFetched()) throw new MissingServer(`needs Kafka (${FETCH})`)
  return { java, classPath: join(FOLDER, '*') }
}

function isFetched(): boolean {
  return existsSync(FETCHED) && readFileSync(FETCHED).equals(readFileSync(POM))
}
