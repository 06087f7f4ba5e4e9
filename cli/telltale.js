#!/usr/bin/env node
/**
 * Owns the first step of every command: a Node that fits, and, in a checkout, outputs of what the sources are now; then
 * `dist/cli/main.js` takes over. What is wrong is one sentence, and not a stack trace: so this is JavaScript, on any Node.
 */

import { existsSync } from 'node:fs'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
// `crc32` of node:zlib is there since these.
if (major < 20 || major === 21 || (major === 20 && minor < 15) || (major === 22 && minor < 2)) {
  fail(`Telltale runs on Node 20.15, 22.2, 24 and 26, or later ones of them; this is ${process.versions.node}`)
}
const builder = new URL('../build.js', import.meta.url)
// A package that was installed, and the image, have no sources, and no builder.
if (existsSync(builder)) {
  const { build, BuildError } = /** @type {typeof import('../build.js')} */ (await import(builder.href))
  try {
    await build()
  } catch (error) {
    if (!(error instanceof BuildError)) throw error
    fail(error.message)
  }
}
// Stack traces then have the lines of the sources.
process.setSourceMapsEnabled(true)
await import(new URL('../dist/cli/main.js', import.meta.url).href)

/** @param {string} sentence */
function fail(sentence) {
  process.stderr.write(`telltale: ${sentence}\n`)
  process.exit(1)
}
