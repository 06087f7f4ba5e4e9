/** Owns the page `docs/websocket-conformance.md`: made of the results and the declared differences, and of nothing else. */

import { LIVE_COMMAND_BYTES_CUT } from '../../platform/limits.ts'
import { SUITE_VERSION } from './autobahn.ts'
import { DIFFERENCES, differenceOf, type Results } from './differences.ts'
import { SERVER_NAMES, type ServerKind } from './echo.ts'

export const PAGE = new URL('../../docs/websocket-conformance.md', import.meta.url)

/** By the first number of a case's id. */
const GROUPS: Readonly<Record<string, string>> = {
  1: 'framing: text and binary messages of up to 64 KiB, whole and in pieces of bytes',
  2: 'pings and pongs, asked for and not, in pieces, with up to 125 bytes and more',
  3: 'reserved bits',
  4: 'reserved opcodes, of data and of control',
  5: 'fragments, with control frames among them, and in wrong order',
  6: 'UTF-8, good and bad, whole, in fragments, cut within a character',
  7: 'the closing handshake, its codes and reasons',
  9: 'large messages and many small ones',
  10: 'a message in fragments of 1,300 bytes',
}

export function renderPage(runs: ReadonlyMap<ServerKind, Results>): string {
  const kinds = [...runs.keys()]
  const [first = new Map()] = runs.values()
  const ids = [...first.keys()]
  const groupOf = (id: string) => id.split('.')[0] ?? ''
  const isOk = (kind: ServerKind) => (id: string) =>
    runs.get(kind)?.get(id) === 'OK' && differenceOf(kind, id) === undefined
  const total = (kind: ServerKind) => `${SERVER_NAMES[kind]} ${ids.filter(isOk(kind)).length}`
  const lines = [
    '# WebSocket conformance',
    '',
    `[Autobahn's test suite](https://github.com/crossbario/autobahn-testsuite) ${SUITE_VERSION}, cases 1 to 10, on both of the gateway's servers: on an echo behind the door by`,
    `which the gateway uses them, with its options and bounds (a message of ${LIVE_COMMAND_BYTES_CUT / 1024} KiB at most, no compression, so no cases 12 and 13).`,
    '`npm run conformance:ws -- --write` makes this page, after `npm run conformance:ws -- --install`, which needs a Python 2.7;',
    'It exits with 1 when a case comes out otherwise than is declared here.',
    '',
    `Of these ${ids.length} cases are OK: **${kinds.map(total).join(', ')}**. The others stand below, each with its reason.`,
    '',
    `| cases | what | ${kinds.map((kind) => SERVER_NAMES[kind]).join(' | ')} |`,
    `|---|---|${kinds.map(() => '---|').join('')}`,
    ...[...new Set(ids.map(groupOf))].map((group) => {
      const own = ids.filter((id) => groupOf(id) === group)
      const cells = kinds.map((kind) => `${own.filter(isOk(kind)).length} of ${own.length}`)
      return `| ${group} | ${GROUPS[group] ?? ''} | ${cells.join(' | ')} |`
    }),
    '',
    '## What is not OK, and why',
    '',
    '| cases | servers | the suite calls it | |',
    '|---|---|---|---|',
    ...DIFFERENCES.map(({ cases, servers, behavior, why }) => {
      const names = servers.map((kind) => SERVER_NAMES[kind]).join(', ')
      return `| ${cases.join(' ')} | ${names} | ${behavior} | ${why} |`
    }),
    '',
    'Who breaks the protocol is told the code for it (1002, 1007, 1009) by `ws`; uWebSockets.js ends the connection without one. For the suite',
    'both are right.',
    '',
  ]
  return lines.join('\n')
}
