/** Owns copies of the tree for tests: the files as git would commit them now, without the dependencies. */

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { scratchDirectory } from './scratch.ts'

export const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** From the root. */
export function presentFiles(): string[] {
  const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: ROOT })
  return files
    .toString()
    .split('\0')
    .filter((file) => file !== '' && existsSync(join(ROOT, file)))
}

export function copyTree(t: TestContext): string {
  const directory = scratchDirectory(t)
  const input = presentFiles().join('\n')
  const archive = execFileSync('tar', ['-c', '-T', '-'], { cwd: ROOT, input, maxBuffer: 2 ** 28 })
  execFileSync('tar', ['-x'], { cwd: directory, input: archive })
  return directory
}
