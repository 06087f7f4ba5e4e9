/** Runs the devices of docs/devices.md as they stand there, but for port and topic; those for a board need a board. */

import assert from 'node:assert/strict'
import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { startBroker } from '../broker/harness.ts'
import { plainEnvironment } from '../e2e/platform.ts'
import { add } from '../log/command-contract.ts'
import { scratchDirectory } from '../scratch.ts'
import { findProgram, MissingServer, requireProgram, skipIfMissing } from '../servers/server.ts'
import { PAHO_PYTHON, pythonWithPaho } from '../strangers/devices.ts'
import { ROOT } from '../tree.ts'
import { until } from '../until.ts'

const PAGE = readFileSync(join(ROOT, 'docs/devices.md'), 'utf8')
const TOPIC = 'devices/truck-7/telemetry/environment'

/** The program below a heading. */
function program(library: string): string {
  const [, text] = new RegExp(`^## ${library}\\n.*?^\`\`\`\\w+\\n(.*?)^\`\`\`$`, 'ms').exec(PAGE) ?? []
  return text ?? assert.fail(library)
}

/** Puts a program into a directory; the command that runs it. Throws `MissingServer`. */
type Prepare = (directory: string, text: string) => readonly [file: string, ...args: string[]]

const LIBRARIES: Readonly<Record<string, Prepare>> = {
  'mqtt.js': (directory, text) => {
    mkdirSync(join(directory, 'node_modules'))
    symlinkSync(join(ROOT, 'node_modules/mqtt'), join(directory, 'node_modules/mqtt'))
    writeFileSync(join(directory, 'device.mjs'), text)
    return [process.execPath, join(directory, 'device.mjs')]
  },
  [PAHO_PYTHON]: (directory, text) => {
    writeFileSync(join(directory, 'device.py'), text)
    return [pythonWithPaho(), join(directory, 'device.py')]
  },
  'paho C': (directory, text) => {
    const cc = findProgram('gcc', 'apt install gcc')
    if (spawnSync(cc, ['-fsyntax-only', '-x', 'c', '-'], { input: '#include <MQTTClient.h>' }).status !== 0) {
      throw new MissingServer('needs paho C (apt install libpaho-mqtt-dev)')
    }
    writeFileSync(join(directory, 'device.c'), text)
    const [source, built] = [join(directory, 'device.c'), join(directory, 'device')]
    execFileSync(cc, ['-Wall', '-Werror', source, '-o', built, '-lpaho-mqtt3c'])
    return [built]
  },
}

async function run(t: TestContext, library: string): Promise<void> {
  const bench = await startBroker(t)
  const text = program(library).replaceAll('1883', String(bench.port))
  assert.notEqual(text, program(library))
  const token = await bench.identity.signDevice('truck-7', 60_000)
  const printed = async (source: string, TELLTALE_TOKEN: string) => {
    const [file, ...args] = LIBRARIES[library]?.(scratchDirectory(t), source) ?? assert.fail(library)
    // Under options of ours Node would throw for what mqtt.js calls, `url.parse` (DEP0169).
    const env = { ...plainEnvironment(), NODE_OPTIONS: '', TELLTALE_TOKEN }
    const { stdout } = await promisify(execFile)(file, args, { env })
    return stdout.trim()
  }
  assert.equal(await printed(text, token), 'on disk')
  const entries = await bench.entries()
  assert.deepEqual(
    entries.map(({ device, stream, payload }) => [device, stream, JSON.parse(`${payload}`).temperature]),
    [['truck-7', 'environment', 21.3]],
  )
  const elsewhere = text.replaceAll(TOPIC, TOPIC.replace('truck-7', 'truck-8'))
  assert.match(
    await printed(elsewhere, token),
    /^dropped: 0x87 topic "devices\/truck-8\/telemetry\/environment" may not/,
  )
}

for (const library of Object.keys(LIBRARIES)) {
  test(`${library}: a device publishes a reading, and reads why one is dropped`, async (t) => {
    try {
      await run(t, library)
    } catch (error) {
      // Debian's is an older one, and not every CI may ask PyPI.
      if (library === PAHO_PYTHON && error instanceof MissingServer) t.skip(error.message)
      else skipIfMissing(t, error)
    }
  })
}

test('mosquitto_sub as the page has it gets a command, by MQTT 5 with its id, and acknowledges it', async (t) => {
  if (requireProgram(t, 'mosquitto_sub', 'apt install mosquitto-clients') === undefined) return
  const bench = await startBroker(t)
  t.after(bench.stop)
  const [, level5 = assert.fail()] = /`(-V mqttv5 .*?)`/.exec(PAGE) ?? []
  const env = { ...plainEnvironment(), TELLTALE_TOKEN: await bench.identity.signDevice('truck-7', 60_000) }
  for (const more of ['', level5]) {
    const { id } = await add(bench.log.commands, 'truck-7', '{"lamp":true}')
    const line = `${program('Commands').trim().replace('1883', String(bench.port))} -C 1 ${more}`
    const { stdout } = await promisify(execFile)('sh', ['-c', line], { env })
    assert.equal(stdout, more === '' ? '{"lamp":true}\n' : `command:${id} {"lamp":true}\n`)
    await until(() => bench.log.commands.of('truck-7').every(({ state }) => state === 'acknowledged'))
  }
})
