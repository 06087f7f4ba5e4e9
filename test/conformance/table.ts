/** Owns the page `docs/mqtt-conformance.md`: made of the results and the declared differences, and of nothing else. */

import { MOSQUITTO_DIFFERENCES, OUR_DIFFERENCES, REMARKS } from './differences.ts'
import { CONFORMS, type Results, statements } from './results.ts'

export const PAGE = new URL('../../docs/mqtt-conformance.md', import.meta.url)

export interface Runs {
  readonly ours: Results
  readonly mosquitto: Results
  readonly mosquittoVersion: string
}

export function renderPage({ ours, mosquitto, mosquittoVersion }: Runs): string {
  const tried = statements.filter(({ check }) => check !== undefined)
  const numbered = statements.filter(({ id }) => id.startsWith('MQTT')).length
  const count = (results: Results) => tried.filter(({ id }) => results.get(id) === CONFORMS).length
  const lines = [
    '# MQTT 3.1.1 conformance',
    '',
    `The specification's ${numbered} normative statements (appendix B), and ${statements.length - numbered} more that follow from its text, tried packet by packet`,
    `on this broker with \`TELLTALE_AUTH=off\` and on Mosquitto ${mosquittoVersion}. \`node --import tsx test/conformance/print.ts --write\` makes this page;`,
    '`test/conformance/conformance.test.ts` fails when it is not what the brokers do.',
    '',
    `Of these ${statements.length} statements ${tried.length} can be tried on a server: **ours ${count(ours)}, Mosquitto ${count(mosquitto)}**.`,
    '',
    '| statement | in our words | binds | tried in `test/conformance/` | ours | Mosquitto |',
    '|---|---|---|---|---|---|',
    ...statements.map(({ id, text, binds, check, untested, file }) => {
      const cell = (results: Results) => (results.get(id) === CONFORMS ? 'yes' : '**no**')
      const outcome =
        check === undefined ? `| not tried: ${untested} | - | -` : `| ${file} | ${cell(ours)} | ${cell(mosquitto)}`
      return `| ${id} | ${text.replaceAll('|', '\\|')} | ${binds} ${outcome} |`
    }),
    '',
    '## Where ours differs, and why',
    '',
    ...Object.entries(OUR_DIFFERENCES).map(([id, reason]) => `* ${id}: ${reason}`),
    '',
    '## Where Mosquitto differs',
    '',
    ...Object.entries(MOSQUITTO_DIFFERENCES).map(([id, reason]) => `* ${id}: ${reason}`),
    '',
    '## What else to know',
    '',
    ...REMARKS.map((remark) => `* ${remark}`),
    '',
  ]
  return lines.join('\n')
}

/** The rows of a page without Mosquitto's results, which are its version's. */
export function withoutMosquitto(page: string): string {
  return page
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) => line.split(' | ').slice(0, -1).join(' | '))
    .join('\n')
}
