/** Owns where this package is: what comes with the sources and is not built is found from there. */

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The nearest folder above with a package.json: this file is in `platform/`, or in `dist/platform/`. */
export const PACKAGE_DIR = findPackage(dirname(fileURLToPath(import.meta.url)))

function findPackage(directory: string): string {
  if (existsSync(join(directory, 'package.json'))) return directory
  assert(directory !== dirname(directory), 'a package has a package.json')
  return findPackage(dirname(directory))
}

export function packageVersion(): string {
  return (JSON.parse(readFileSync(join(PACKAGE_DIR, 'package.json'), 'utf8')) as { version: string }).version
}
