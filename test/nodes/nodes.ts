/**
 * Owns the Nodes that the tests run on besides the one they were started with: npm's own builds, each in a folder of its own
 * that git does not see. `npm run test:nodes -- --install` fetches them.
 */

import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { isExecutable, MissingServer, skipIfMissing } from '../servers/server.ts'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** What of it git does not see. */
export const FOLDER = join(ROOT, '.nodes')
/** Fetches the Nodes, and the second Debian. */
export const INSTALL = 'npm run test:nodes -- --install'
/** Those that `package.json` names, the oldest first. */
export const MAJORS = [20, 22, 24, 26] as const

export const ownMajor = Number(process.versions.node.split('.')[0])

/** The folder that has the `node` of this version in it; that of the running one, if it is of this version. */
export function binOf(major: number): string {
  if (major === ownMajor) return join(process.execPath, '..')
  const bin = join(FOLDER, String(major), 'node_modules', `node-linux-${process.arch}`, 'bin')
  if (!isExecutable(join(bin, 'node'))) {
    throw new MissingServer(`needs Node ${major} (${INSTALL})`)
  }
  return bin
}

/** The binaries of all versions; undefined, and the test skipped or failed, if one is not there. */
export function requireNodes(t: TestContext): readonly { readonly major: number; readonly path: string }[] | undefined {
  try {
    return MAJORS.map((major) => ({ major, path: join(binOf(major), 'node') }))
  } catch (error) {
    return skipIfMissing(t, error)
  }
}

/** Fetches what is not there yet. */
export function installNodes(): void {
  for (const major of MAJORS) {
    if (major === ownMajor) continue
    const prefix = join(FOLDER, String(major))
    mkdirSync(prefix, { recursive: true })
    const args = ['install', '--prefix', prefix, '--no-save', `node-linux-${process.arch}@${major}`]
    execFileSync('npm', args, { stdio: 'inherit', cwd: prefix })
  }
}
