/**
 * Owns `client/dist/`, which the package has: each source as JavaScript with a source map and its types; and
 * `telltale.global.js`, one file for pages that have no bundler, which sets `telltale`. `node build.js DIRECTORY` builds it there.
 *
 * Always true: what is in `dist/` was built of the sources of now, all of it.
 */

import { execFileSync } from 'node:child_process'
import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { buildSync } from 'esbuild'

const ROOT = import.meta.dirname
const DIST = resolve(process.argv[2] ?? join(ROOT, 'dist'))
/** As old as a browser may be: private methods, `replaceAll`, `??=`. */
const TARGET = 'es2022'

if (process.argv[2] === undefined) rmSync(DIST, { recursive: true, force: true })
const sources = ['.', 'avro'].flatMap((folder) =>
  readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name)),
)
const common = { absWorkingDir: ROOT, outbase: ROOT, outdir: DIST, target: TARGET, charset: 'utf8' }
const { outputFiles } = buildSync({
  .../** @type {import('esbuild').BuildOptions} */ (common),
  entryPoints: sources,
  format: 'esm',
  sourcemap: 'linked',
  write: false,
  tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
})
const tsc = createRequire(import.meta.url).resolve('typescript/package.json')
execFileSync(process.execPath, [join(tsc, '../bin/tsc'), '-p', ROOT, '--outDir', DIST], { stdio: 'inherit' })
for (const { path, text } of outputFiles) writeFileSync(path, withJsImports(text))
for (const name of readdirSync(DIST, { recursive: true }).map(String)) {
  const path = join(DIST, name)
  if (name.endsWith('.d.ts')) writeFileSync(path, withJsImports(readFileSync(path, 'utf8')))
}
buildSync({
  .../** @type {import('esbuild').BuildOptions} */ (common),
  entryPoints: { 'telltale.global': join(ROOT, 'global.ts') },
  bundle: true,
  minify: true,
  format: 'iife',
  globalName: 'telltale',
  legalComments: 'none',
})
copyFileSync(join(ROOT, '../LICENSE'), join(ROOT, 'LICENSE'))

/** @param {string} text */
function withJsImports(text) {
  return text.replaceAll(/(\b(?:from |import |import\()(["'])\.{1,2}\/[^"'\n]*)\.ts\2/g, '$1.js$2')
}
