/**
 * Owns the one sentence about a library that cannot be loaded: which, on which Node and system, why, and what would be right.
 *
 * The patterns are those of Node 20 to 26 and of the libraries' own loaders as the lockfile has them;
 * `test/platform/unloadable.test.ts` takes the binaries away and looks.
 */

/** What each binary of uWebSockets.js needs (`readelf -V`, uwebsockets 3.0.6). */
const UWS_RUNS_ON = 'Node 20, or Node 22 or 24 with GLIBC 2.38, as Debian 13 and Ubuntu 24.04 have it'

/** The libraries with a binary of their own, and what is in the message when one is not loaded. */
const LIBRARIES = [
  { name: 'uWebSockets.js', sign: /uws|uWebSockets/i },
  { name: 'lmdb', sign: /lmdb/ },
  { name: 'DuckDB', sign: /duckdb/ },
] as const

/** What a loader says, and what that means; `$1` is what it names. The first that fits is taken. */
const REASONS = [
  // Of the others none needs more than Node itself does.
  {
    says: /version `GLIBC_([\d.]+)' not found/,
    reason: 'its binary for this Node needs GLIBC $1',
    mend: UWS_RUNS_ON,
  },
  {
    says: /version `GLIBCXX_([\d.]+)' not found/,
    reason: 'its binary needs a libstdc++ with GLIBCXX $1',
    mend: 'a newer system, such as Debian 13 or Ubuntu 24.04',
  },
  {
    says: /ld-linux|Error relocating/,
    reason: 'its binary is for glibc',
    mend: 'a system with glibc, such as Debian 13',
  },
  { says: /Cannot find module '\.\/uws_/, reason: 'it has no binary for this Node', mend: UWS_RUNS_ON },
  {
    says: /Cannot find (?:module|package)|No native build|could not be found|another platform|unsupported/i,
    reason: 'its binary for this system is not installed',
    mend: '`npm ci` on this system, optional dependencies included',
  },
] as const

/** The sentence, without a full stop; undefined if `error` is not about one of those libraries. */
export function whyUnloadable(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const library = LIBRARIES.find(({ sign }) => sign.test(error.message))
  const isLoading =
    /ERR_DLOPEN_FAILED|MODULE_NOT_FOUND/.test(codeOf(error)) || REASONS.some(({ says }) => says.test(error.message))
  if (library === undefined || !isLoading) return undefined
  const here = `on Node ${process.versions.node} (${process.platform} ${process.arch}, ${libc()})`
  for (const { says, reason, mend } of REASONS) {
    const found = says.exec(error.message)
    if (found)
      return `${library.name} cannot be loaded ${here}: ${reason.replace('$1', found[1] ?? '')}; right is ${mend}`
  }
  return `${library.name} cannot be loaded ${here}: ${error.message.split('\n')[0]}; right is \`npm ci\` once more`
}

const codeOf = (error: Error & { code?: unknown }) => String(error.code ?? '')

/** Which C library the process runs on, as far as Node knows. */
function libc(): string {
  if (process.platform !== 'linux') return 'its own libc'
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } }
  return header.glibcVersionRuntime === undefined ? 'musl' : `GLIBC ${header.glibcVersionRuntime}`
}
