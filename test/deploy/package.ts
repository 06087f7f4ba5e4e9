/** Owns `npm pack` of a tree: the package that people install, and that the image holds. */

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

interface Packed {
  readonly filename: string
  readonly files: readonly { readonly path: string }[]
}

function npmPack(directory: string, ...args: string[]): Packed {
  const stdio = ['ignore', 'pipe', 'ignore'] as const
  const said = execFileSync('npm', ['pack', '--json', ...args], { cwd: directory, stdio: [...stdio] }).toString()
  // What the build prints comes first.
  const [packed] = JSON.parse(said.slice(said.indexOf('[\n'))) as [Packed]
  return packed
}

/** The files that would be in the package. */
export function packed(directory: string): readonly string[] {
  return npmPack(directory, '--dry-run')
    .files.map(({ path }) => path)
    .sort()
}

/** Packs into another directory; the package's path. */
export function pack(directory: string, into: string): string {
  return join(into, npmPack(directory, '--pack-destination', into).filename)
}
