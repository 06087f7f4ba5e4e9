/** Owns the files of docs/streams/: of each stream a page, a list of them, and what their C needs. */

import { catalogueOf } from '../../../schemas/catalogue.ts'
import type { Registry } from '../../../schemas/registry.ts'
import { C_HEADER, C_HEADER_NAME } from './c-header.ts'
import { indexPage, streamPage } from './stream-page.ts'

/** By name. */
export function pagesOf(registry: Registry): ReadonlyMap<string, string> {
  const streams = catalogueOf(registry)
  return new Map([
    ['README.md', indexPage(streams)],
    [C_HEADER_NAME, C_HEADER],
    ...streams.map((stream): [string, string] => [`${stream.stream}.md`, streamPage(stream, registry)]),
  ])
}
