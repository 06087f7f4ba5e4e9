/**
 * Owns the JSON schema of scenario files, by which editors complete and check them: made of `schema.ts`, and kept beside it as
 * `scenario.schema.json` (`UPDATE=1 node test/run.js test/devices/simulator/scenario/json-schema.test.ts`, then `npm run format`).
 *
 * It says less than the reader: what does not go together, and what streams there are, is told when a scenario is read.
 */

import { z } from 'zod'
import { scenarioSchema } from './schema.ts'

/** Draft 7, which editors know. */
export const scenarioJsonSchema = (): object => ({
  title: 'A scenario of telltale simulate',
  ...z.toJSONSchema(scenarioSchema, { io: 'input', target: 'draft-7' }),
})
