#!/usr/bin/env node
// What runs is what you read: tsx loads the TypeScript sources as they are.
// What cannot be loaded, on a Node or a system that it does not know, is one sentence and not a stack trace.

import { whyUnloadable } from '../platform/unloadable.js'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
// `crc32` of node:zlib is there since these.
if (major < 20 || major === 21 || (major === 20 && minor < 15) || (major === 22 && minor < 2)) {
  fail(`Telltale runs on Node 20.15, 22.2, 24 and 26, or later ones of them; this is ${process.versions.node}`)
}
try {
  const { register } = await import('tsx/esm/api')
  register()
  await import('./main.ts')
} catch (error) {
  const sentence = whyUnloadable(error)
  if (sentence === undefined) throw error
  fail(sentence)
}

/** @param {string} sentence */
function fail(sentence) {
  process.stderr.write(`telltale: ${sentence}\n`)
  process.exit(1)
}
