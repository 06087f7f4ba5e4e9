/**
 * Owns `dist/`, which is what runs: each TypeScript source of the product made into JavaScript, one file of one file, with a
 * source map; and the dashboard and the report of a simulated run, each one page of all that it needs. Itself JavaScript, for it
 * runs before anything is built.
 *
 * Always true: an output is whole and has its source's time of change; both come with its name, by one rename. So the outputs
 * themselves say which of them are stale, also after a build that was killed; and two builds at once do the same thing twice.
 * An error in a source changes nothing.
 * Bound: two files a source, and the pages. What a killed build leaves is removed by the first build that is `ABANDONED_MS` later.
 */

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'

const ROOT = import.meta.dirname
const DIST = join(ROOT, 'dist')
/** `client` besides: the simulator reads as apps do. */
const PRODUCT = [
  'platform',
  'schemas',
  'maps',
  'log',
  'identity',
  'intake',
  'broker',
  'bridge',
  'ingest',
  'gateway',
  'client',
  'devices',
  'cli',
]
/** What else decides how outputs look: this file, and the version of esbuild. If one changes, all is built anew. */
const BUILDER = ['build.js', 'package.json']
/** In `dist/`: by which builder. */
const BUILT_BY = 'built-by'
/** What is made for browsers; the `output` of each is in `dist/`, and in the folder `of` are `page.html` and the `script` that draws it. */
const PAGES = [
  // With the SDK of apps, which it uses.
  { output: 'dashboard/index.html', of: 'dashboard', script: 'main.tsx', sources: ['dashboard', 'client'] },
  {
    output: 'report/index.html',
    of: 'devices/simulator/report/page',
    script: 'main.ts',
    sources: ['devices/simulator/report'],
  },
]
/** Beside its output: of which sources a page was built, with their times. */
const PAGE_BUILT_OF = 'built-of'
/** As old as a browser may be. */
const PAGE_TARGET = 'es2022'
/** In `dist/`: how the names of the folders begin in which builds are under way. */
const UNDER_WAY = 'under-way-'
const ABANDONED_MS = 60_000

/** What is wrong in the world, or in a source: a sentence. */
export class BuildError extends Error {}

/**
 * Builds what is stale; writes nothing if nothing is. Throws a `BuildError`.
 *
 * @returns {Promise<{ readonly built: number, readonly sources: number }>}
 */
export async function build() {
  // Before they are read: a source that changes meanwhile is stale the next time.
  const sources = new Map(PRODUCT.flatMap(productSourcesIn).map(withTime))
  const builder = BUILDER.map((file) => `${withTime(file).join(' ')}\n`).join('')
  const builtBy = join(DIST, BUILT_BY)
  const isOurs = existsSync(builtBy) && readFileSync(builtBy, 'utf8') === builder
  const stalePages = PAGES.map((page) => ({ page, of: sourcesOf(page, builder) })).filter(({ page, of }) => {
    const builtOf = join(DIST, dirname(page.output), PAGE_BUILT_OF)
    return !existsSync(builtOf) || readFileSync(builtOf, 'utf8') !== of
  })
  const stale = [...sources].filter(([source, time]) => !isOurs || timeOf(join(DIST, outputOf(source))) !== time)
  const outputs = new Set([...sources.keys()].map(outputOf))
  const orphans = filesIn(DIST, '', '.js').filter((file) => !outputs.has(file) && !file.startsWith(UNDER_WAY))
  if (!isOurs || stalePages.length + stale.length + orphans.length > 0) {
    const texts = stale.length > 0 ? await transformed(stale.map(([source]) => source)) : []
    for (const { page, of } of stalePages) {
      texts.push([page.output, await bundledPage(page)], [join(dirname(page.output), PAGE_BUILT_OF), of])
    }
    try {
      write([...texts, [BUILT_BY, builder]], new Map(stale.map(([source, time]) => [outputOf(source), time])))
      for (const file of orphans) for (const end of ['', '.map']) rmSync(join(DIST, `${file}${end}`), { force: true })
    } catch (error) {
      const { code } = /** @type {NodeJS.ErrnoException} */ (error)
      if (code === undefined) throw error
      throw new BuildError(stalled(`dist/ cannot be written (${code})`, '`npm run build` by who may write it'))
    }
  }
  return { built: stale.length + stalePages.length, sources: sources.size + PAGES.length }
}

/**
 * @param {string[]} sources
 * @returns {Promise<[name: string, text: string][]>} what belongs into `dist/`, each map before what it is of
 */
async function transformed(sources) {
  const outputFiles = await outputsOf({
    entryPoints: sources,
    outbase: ROOT,
    outdir: DIST,
    format: 'esm',
    platform: 'node',
    target: 'node20.15',
    sourcemap: 'linked',
    sourcesContent: false,
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
  })
  return outputFiles.map(({ path, text }) => [path.slice(DIST.length + 1), withJsImports(text)])
}

/**
 * Its `page.html` with its script and its styles in it: one file, which asks for no other.
 *
 * @param {{ readonly of: string, readonly script: string }} page
 */
async function bundledPage({ of, script }) {
  const outputFiles = await outputsOf({
    entryPoints: [join(of, script)],
    outdir: join(DIST, of),
    bundle: true,
    minify: true,
    format: 'iife',
    target: PAGE_TARGET,
    jsx: 'automatic',
    jsxImportSource: 'preact',
    loader: { '.png': 'dataurl' },
    legalComments: 'none',
  })
  const textOf = (/** @type {string} */ extension) =>
    outputFiles.find(({ path }) => path.endsWith(extension))?.text.trim() ?? ''
  // esbuild writes `</script` and `</style` otherwise, so neither ends its element. A `$` in a text is no pattern of a replacer's.
  return readFileSync(join(ROOT, of, 'page.html'), 'utf8')
    .replace('<style></style>', () => `<style>${textOf('.css')}</style>`)
    .replace('<script></script>', () => `<script>${textOf('.js')}</script>`)
}

/**
 * Throws a `BuildError`.
 *
 * @param {import('esbuild').BuildOptions} options
 */
async function outputsOf(options) {
  try {
    const { buildSync } = await import('esbuild')
    const common = /** @type {const} */ ({ absWorkingDir: ROOT, write: false, charset: 'utf8', logLevel: 'silent' })
    return buildSync({ ...common, ...options }).outputFiles ?? []
  } catch (error) {
    const { errors, message } = /** @type {import('esbuild').BuildFailure} */ (error)
    const [first] = errors ?? []
    if (!first) {
      const problem = `esbuild, which builds dist/, cannot be loaded (${message.split('\n')[0]})`
      throw new BuildError(stalled(problem, '`npm ci --include=dev` on this system'))
    }
    const { location, text } = first
    const place = location ? `${location.file}:${location.line}:${location.column + 1}: ` : ''
    const others = errors.length > 1 ? `, the first of ${errors.length} errors` : ''
    throw new BuildError(`${place}${text}${others}`)
  }
}

/** @param {string} file */
const isOfPackage = (file) => file.startsWith(join('client', 'dist'))

/** @param {string} folder */
const productSourcesIn = (folder) => filesIn(ROOT, folder, '.ts').filter((file) => !isOfPackage(file) && isNoPage(file))
/**
 * @param {{ readonly sources: readonly string[] }} page
 * @param {string} builder
 */
const sourcesOf = ({ sources }, builder) =>
  [builder, ...sources.flatMap(pageSourcesIn).map((file) => `${withTime(file).join(' ')}\n`)].join('')

/** @param {string} file */
const isNoPage = (file) => !PAGES.some(({ of }) => file.startsWith(join(of, '/')))

/** @param {string} folder */
const pageSourcesIn = (folder) =>
  ['.ts', '.tsx', '.css', '.html']
    .flatMap((extension) => filesIn(ROOT, folder, extension))
    .filter((file) => !isOfPackage(file))

/**
 * The extension is as long as before, so a source map still fits.
 *
 * @param {string} text as esbuild prints it: paths in double quotes
 */
const withJsImports = (text) => text.replaceAll(/(\b(?:from |import |import\()"\.{1,2}\/[^"\n]*)\.ts"/g, '$1.js"')

/**
 * @param {string} problem
 * @param {string} mend
 */
const stalled = (problem, mend) => `the sources have changed since they were built, and ${problem}: right is ${mend}`

/**
 * In this order, each under another name first.
 *
 * @param {[name: string, text: string][]} files
 * @param {Map<string, number | undefined>} times of those that have their source's
 */
function write(files, times) {
  mkdirSync(DIST, { recursive: true })
  for (const name of readdirSync(DIST).filter((name) => name.startsWith(UNDER_WAY))) {
    const folder = join(DIST, name)
    if (Date.now() - (timeOf(folder) ?? 0) > ABANDONED_MS) rmSync(folder, { recursive: true, force: true })
  }
  const folder = mkdtempSync(join(DIST, UNDER_WAY))
  try {
    for (const [index, [name, text]] of files.entries()) {
      const path = join(folder, String(index))
      writeFileSync(path, text)
      const seconds = (times.get(name) ?? Date.now()) / 1_000
      utimesSync(path, seconds, seconds)
      mkdirSync(dirname(join(DIST, name)), { recursive: true })
      renameSync(path, join(DIST, name))
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** @param {string} source */
const outputOf = (source) => source.replace(/\.ts$/, '.js')

/**
 * @param {string} root
 * @param {string} folder
 * @param {string} extension
 * @returns {string[]} paths from the root, without hidden ones; none if the folder is not there
 */
function filesIn(root, folder, extension) {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return filesIn(root, path, extension)
    return path.endsWith(extension) && !entry.name.startsWith('.') ? [path] : []
  })
}

/**
 * When a file was changed, in whole milliseconds, which every file system keeps; undefined if it is not there.
 *
 * @param {string} path
 */
function timeOf(path) {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat && Math.round(stat.mtimeMs)
}

/**
 * @param {string} file
 * @returns {[file: string, time: number | undefined]}
 */
const withTime = (file) => [file, timeOf(join(ROOT, file))]

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === import.meta.filename) {
  const start = performance.now()
  try {
    const { built, sources } = await build()
    console.log(`dist/: ${built} of ${sources} sources built, in ${Math.round(performance.now() - start)} ms`)
  } catch (error) {
    if (!(error instanceof BuildError)) throw error
    console.error(error.message)
    process.exitCode = 1
  }
}
