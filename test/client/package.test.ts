/** The package as `npm pack` makes it: installed where nothing else is, imported by Node, type-checked, and bundled for browsers. */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { buildSync } from 'esbuild'
import { parseDuration } from '../../platform/units.ts'
import { pack } from '../deploy/package.ts'
import { plainEnvironment } from '../e2e/platform.ts'
import { environment, NOW, startPlatform } from '../gateway/platform.ts'
import { scratchDirectory } from '../scratch.ts'
import { copyTree, ROOT } from '../tree.ts'

const CLIENT = join(ROOT, 'client')
/** Minified, of what an app has that only subscribes; gzip. */
const BYTES_MAX = 8_192
const AVRO_BYTES_MAX = 5_120

/** An app of its own, with the package installed. */
async function install(t: TestContext): Promise<string> {
  const directory = join(scratchDirectory(t), 'app')
  mkdirSync(directory)
  writeFileSync(join(directory, 'package.json'), '{ "type": "module" }')
  const file = pack(CLIENT, join(directory, '..'))
  const env = { ...plainEnvironment(), npm_config_prefer_offline: 'true' }
  await promisify(execFile)('npm', ['install', '--no-audit', file], { cwd: directory, env })
  return directory
}

function bundle(directory: string, source: string): string {
  const { outputFiles, warnings } = buildSync({
    stdin: { contents: source, resolveDir: directory },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    write: false,
    logLevel: 'silent',
  })
  assert.deepEqual(warnings, [])
  return outputFiles[0]?.text ?? ''
}

const LIVE = "import { connect } from '@telltale/client'\n"

test('the package runs, has its types, and is small', async (t) => {
  const directory = await install(t)
  const node = (...args: string[]) => promisify(execFile)(process.execPath, args, { cwd: directory })

  await t.test('Node imports it', async (inner) => {
    const platform = await startPlatform(inner, 'node')
    await platform.publish('a', 'environment', environment(NOW))
    const script = `${LIVE}
      import { avro } from '@telltale/client/avro'
      const live = connect(process.argv[1], { token: process.argv[2] })
      for await (const { device, values } of live.subscribe('devices/+/telemetry/environment', { start: 'latest' })) {
        console.log(device, values.temperature, avro.subprotocol)
        break
      }`
    // Node 20 has no WebSocket of its own: with `ws` it has one, without it says so.
    if (!('WebSocket' in globalThis)) {
      await assert.rejects(node('--input-type=module', '-e', script, platform.url, platform.token), /npm install ws/)
      symlinkSync(join(ROOT, 'node_modules/ws'), join(directory, 'node_modules/ws'))
    }
    const { stdout } = await node('--input-type=module', '-e', script, platform.url, platform.token)
    assert.equal(stdout, 'a 21.3 telltale.v1.avro\n')
    const { stdout: types } = await node(
      'node_modules/.bin/telltale-client',
      'types',
      platform.url,
      '--token',
      platform.token,
    )
    assert.equal(types, readFileSync(join(CLIENT, 'streams.ts'), 'utf8'))
  })

  await t.test('TypeScript checks an app that has nothing but a browser', async () => {
    writeFileSync(
      join(directory, 'app.ts'),
      `${LIVE}import { avro } from '@telltale/client/avro'
       const live = connect('https://telltale.example', { token: async () => 'x', encoding: avro, WebSocket })
       for await (const reading of live.subscribe('devices/+/telemetry/environment')) console.log(reading.values.temperature.toFixed(1))
       // @ts-expect-error: no such column
       for await (const reading of live.subscribe('devices/+/telemetry/environment')) console.log(reading.values.temprature)
      `,
    )
    for (const resolution of ['NodeNext', 'Bundler']) {
      const module = resolution === 'Bundler' ? 'ESNext' : resolution
      const options = ['--lib', 'ES2022,DOM', '--types', '', '--target', 'ES2022', '--module', module]
      const tsc = join(ROOT, 'node_modules/.bin/tsc')
      await node(tsc, '--noEmit', '--strict', '--moduleResolution', resolution, ...options, 'app.ts')
    }
  })

  await t.test('a bundle for browsers has what is used', () => {
    const text = bundle(directory, `${LIVE}export const live = connect('https://x').subscribe('devices/#')`)
    const withAvro = bundle(
      directory,
      `${LIVE}import { avro } from '@telltale/client/avro'
      export const live = connect('https://x', { encoding: avro }).subscribe('devices/#')`,
    )
    const unused = bundle(directory, `${LIVE}import { avro } from '@telltale/client/avro'\nconsole.log('nothing')`)
    const global = readFileSync(join(directory, 'node_modules/@telltale/client/dist/telltale.global.js'), 'utf8')
    const sizes = [text, withAvro, global].map((each) => [Buffer.byteLength(each), gzipSync(each).length] as const)
    const [[, own = 0] = [], [, both = 0] = []] = sizes
    const shown = sizes.map(([bytes, gzip]) => `${bytes} bytes, gzip ${gzip}`)
    t.diagnostic(`minified: ${shown[0]}; with avro ${shown[1]}; telltale.global.js ${shown[2]}`)
    assert.equal(unused, 'console.log("nothing");\n')
    assert.doesNotMatch(text, /telltale\.v1\.avro|node:|require/)
    assert(own <= BYTES_MAX && both - own <= AVRO_BYTES_MAX, shown.join('; '))
  })
})

test('the commands by which the README builds it', async (t) => {
  const page = readFileSync(join(CLIENT, 'README.md'), 'utf8')
  const block = /^## Installing$.*?^```sh\n(.*?)^```$/ms.exec(page)?.[1] ?? assert.fail('there are none')
  const cwd = copyTree(t)
  symlinkSync(join(ROOT, 'node_modules'), join(cwd, 'node_modules'))
  await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', block], { cwd, env: plainEnvironment() })
  for (const file of ['telltale-client-0.1.0.tgz', 'client/dist/telltale.global.js'])
    assert(page.includes(file.split('/').at(-1) ?? '') && existsSync(join(cwd, file)), file)
  for (const [, ttl = ''] of page.matchAll(/--ttl (\w+)/g)) assert(parseDuration(ttl) !== undefined, ttl)
})
