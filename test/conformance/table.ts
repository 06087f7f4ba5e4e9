/** Owns the page `docs/mqtt-conformance.md`: made of the results and the declared differences, and of nothing else. */

import { MOSQUITTO_DIFFERENCES, OTHER_SUITES, OUR_DIFFERENCES, REMARKS } from './differences.ts'
import { CONFORMS, type Listed, type Results, statements5, statements311 } from './results.ts'

export const PAGE = new URL('../../docs/mqtt-conformance.md', import.meta.url)

export interface Runs {
  readonly ours: Results
  readonly mosquitto: Results
  readonly mosquittoVersion: string
}

export function renderPage(runs: Runs): string {
  const numbered = statements311.filter(({ id }) => id.startsWith('MQTT')).length
  const lines = [
    '# MQTT conformance',
    '',
    'The normative statements of MQTT 3.1.1 and 5.0 (appendix B of each specification), tried packet by packet on this broker with',
    `\`TELLTALE_AUTH=off\` and on Mosquitto ${runs.mosquittoVersion}. \`node --import tsx test/conformance/print.ts --write\` makes this page;`,
    '`test/conformance/conformance.test.ts` fails when it is not what the brokers do.',
    '',
    '## MQTT 3.1.1',
    '',
    `${numbered} statements, and ${statements311.length - numbered} more that follow from its text.`,
    ...level(statements311, runs),
    '## MQTT 5.0',
    '',
    `${statements5.length} statements; [MQTT-x.y.z-n] of the specification is MQTT5-x.y.z-n here.`,
    ...level(statements5, runs),
    "## What other people's suites say",
    '',
    ...OTHER_SUITES.map((suite) => `* ${suite}`),
    '',
    '## What else to know',
    '',
    ...REMARKS.map((remark) => `* ${remark}`),
    '',
  ]
  return lines.join('\n')
}

function level(statements: readonly Listed[], { ours, mosquitto }: Runs): readonly string[] {
  const tried = statements.filter(({ check }) => check !== undefined)
  const count = (results: Results) => tried.filter(({ id }) => results.get(id) === CONFORMS).length
  return [
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
    ...differences('Where ours differs, and why', statements, OUR_DIFFERENCES),
    ...differences('Where Mosquitto differs', statements, MOSQUITTO_DIFFERENCES),
  ]
}

function differences(title: string, statements: readonly Listed[], all: Readonly<Record<string, string>>) {
  const here = Object.entries(all).filter(([id]) => statements.some((statement) => statement.id === id))
  return here.length === 0 ? [] : [`### ${title}`, '', ...here.map(([id, reason]) => `* ${id}: ${reason}`), '']
}

/** The rows of a page without Mosquitto's results, which are its version's. */
export function withoutMosquitto(page: string): string {
  return page
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) => line.split(' | ').slice(0, -1).join(' | '))
    .join('\n')
}
