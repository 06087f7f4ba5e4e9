/** `telltale map` as people type it, and as docs/maps.md says. */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { plainEnvironment } from '../e2e/platform.ts'
import { scratchDirectory } from '../scratch.ts'
import { ROOT } from '../tree.ts'
import { telltale } from './telltale.ts'

test("the page's maps, and the commands that try them, give what the page says", async (t) => {
  const page = readFileSync(join(ROOT, 'docs/maps.md'), 'utf8')
  const blocks = [...page.matchAll(/^( *)```(\w+)\n(.*?)```/gms)].map(([, indent = '', kind = '', text = '']) => ({
    kind,
    text: text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }))
  const directory = scratchDirectory(t)
  mkdirSync(join(directory, 'config/maps'), { recursive: true })
  const tries = blocks.flatMap(({ kind, text }, index) => {
    const [, file = ''] = (kind === 'sh' && /telltale map try (\S+)/.exec(text)) || []
    return file === '' ? [] : [{ file, command: text, map: blocks[index - 1], printed: blocks[index + 1] }]
  })
  assert(tries.length >= 6, 'the page has its examples')
  for (const { file, command, map, printed } of tries) {
    assert.equal(map?.kind, 'yaml', command)
    writeFileSync(join(directory, file), map.text)
    const script = command.replace('npx telltale', `"${process.execPath}" "${join(ROOT, 'cli/telltale.js')}"`)
    const { stdout, stderr } = await promisify(execFile)('sh', ['-c', script], {
      cwd: directory,
      env: plainEnvironment(),
    })
    assert.deepEqual([stdout, stderr], [printed?.text, ''], command)
  }
  // They go together, so that a reader may keep them all.
  const { code, stderr } = await telltale(directory, ['map', 'check', join(directory, 'config/maps')])
  assert.deepEqual([code, stderr], [0, ''])
})

test('map try says what is wrong, with file and line, and what a map leaves out', async (t) => {
  const directory = scratchDirectory(t)
  const file = join(directory, 'm.yaml')
  const run = (...args: string[]) => telltale(directory, ['map', 'try', file, ...args])
  const on = ['--topic', 'a/d/state', '--payload']
  writeFileSync(file, 'topic: a/{device}/state\nstream: a\ntimes: t\n')
  assert.deepEqual(await run(...on, '{}'), {
    code: 1,
    stdout: '',
    stderr: `telltale: ${file}:3: "times" is nothing that a map has; there are topic, device, stream, format, value, time, fields, tags, ignore, none, gather, retained, empty\n`,
  })
  writeFileSync(file, 'topic: a/{device}/state\nstream: a\nretained: leave\nfields: { x: }\n')
  assert.deepEqual(await run(...on, '{"x":1}', '--received', '2025-11-23T12:00Z'), {
    code: 0,
    stdout: '{"device":"d","stream":"a","ts":1763899200000,"values":{"x":1}}\n',
    stderr: '',
  })
  assert.match(
    (await run(...on, '{"y":1}')).stderr,
    /^telltale: invalid-reading: it has nothing that the map takes, which is x from x; it has y\n$/,
  )
  const solar =
    'topic: a/{device}/state\nstream: a\nfields: { ac: AC.Power, dc: DC.P, gone: X.y, is: T.x }\ntags: { site: "{site}" }\n'
  writeFileSync(file, solar)
  assert.deepEqual(
    await run(...on, '{"AC":{"P":1,"E_total":[2,3]},"DC":{"P":4},"T":5}', '--received', '2025-11-23T12:00Z'),
    {
      code: 0,
      stdout: '{"device":"d","stream":"a","ts":1763899200000,"values":{"dc":4}}\n',
      stderr: `telltale: site: the topic has no name site, and there is nothing at site; it has AC.P, AC.E_total.0, AC.E_total.1, DC.P, T
telltale: ac: nothing at AC.Power; AC has P, E_total.0, E_total.1
telltale: gone: nothing at X.y; it has AC.P, AC.E_total.0, AC.E_total.1, DC.P, T
telltale: is: nothing at T.x; T is 5
`,
    },
  )
  writeFileSync(file, 'topic: a/{device}/state\nstream: a\nretained: leave\nfields: { x: }\ntime: time\n')
  assert.match(
    (await run(...on, '{"x":1,"Time":2}')).stderr,
    /^telltale: bad-timestamp: its time is missing: nothing at time; it has x, Time\n$/,
  )
  writeFileSync(file, 'topic: a/{device}/state\nstream: a\nretained: leave\nfields: { x: }\n')
  assert.match((await run(...on, '{"x":1}', '--retained')).stdout, /^nothing: .*m\.yaml:1 leaves such a message out\n$/)
  assert.match((await run('--topic', 'b', '--payload', '1')).stderr, /^telltale: no map of .*m\.yaml is for b\n$/)
  assert.equal((await run('--topic', 'b')).code, 2)
  writeFileSync(file, '# nothing yet\n')
  assert.match((await run(...on, '1')).stderr, /^telltale: there is no map in .*m\.yaml\n$/)
  assert.equal((await run(...on, '1', '--received', 'soon')).code, 2)
})

test('map check names what is wrong with each file, with no platform, and maps that are never used', async (t) => {
  const directory = scratchDirectory(t)
  const config = { TELLTALE_CONFIG_DIR: directory }
  const maps = join(directory, 'maps')
  assert.deepEqual(await telltale(directory, ['map', 'check'], config), {
    code: 0,
    stdout: `${maps}: 0 files can be used\n${directory}/devices: 0 files can be used\n${directory}/rules: 0 files can be used\n`,
    stderr: '',
  })
  mkdirSync(maps)
  mkdirSync(join(directory, 'devices'))
  writeFileSync(join(maps, 'a.yaml'), 'topic: a/{device}\n')
  writeFileSync(join(maps, 'b.yaml'), 'topic: b/{device}\nstream: b\n')
  writeFileSync(
    join(maps, 'c.yaml'),
    '- topic: c/{device}\n  stream: c\n- topic: b/{id}\n  device: "{id}"\n  stream: c\n',
  )
  writeFileSync(join(maps, 'd.yaml'), 'topic: d/{device}\nstream: d\nfields: { a: b, a: c }\n')
  writeFileSync(join(directory, 'devices', 'e.yaml'), 'password: x\n')
  const { code, stdout, stderr } = await telltale(directory, ['map', 'check'], config)
  assert.equal(code, 1)
  assert.equal(
    stdout,
    `${maps}: 2 files can be used\n${directory}/devices: 0 files can be used\n${directory}/rules: 0 files can be used\n`,
  )
  assert.deepEqual(
    stderr.split('\n').map((line) => line.replace(`${directory}/`, '')),
    [
      'telltale: maps/a.yaml:1: it has no stream',
      'telltale: maps/d.yaml:3: the key a is there twice',
      `telltale: ${maps}/c.yaml:3: this map is never used, for ${maps}/b.yaml:1 has the same topics and stands before it`.replace(
        `${directory}/`,
        '',
      ),
      'telltale: devices/e.yaml:1: it has no user',
      'telltale: 3 of the files cannot be used',
      '',
    ],
  )
  const tried = await telltale(directory, [
    'map',
    'try',
    join(maps, 'c.yaml'),
    '--topic',
    'b/1',
    '--payload',
    '{"x":1}',
  ])
  assert.equal(tried.stderr, '')
  assert.match(
    (await telltale(directory, ['map', 'check', join(directory, 'none')])).stderr,
    /^telltale: there is no folder /,
  )
  const [both] = [join(directory, 'both.yaml')]
  writeFileSync(both, '- { topic: "+/{device}", stream: c }\n- { topic: "b/{device}", stream: b }\n')
  const passed = await telltale(directory, ['map', 'try', both, '--topic', 'b/1', '--payload', '{"x":1}'])
  assert.equal(passed.stderr, `telltale: ${both}:2 is for this topic, too, and is not used: the first is\n`)
})

test('map propose writes what is not there, says what is, and is about one topic or file if asked', async (t) => {
  const directory = scratchDirectory(t)
  const config = { TELLTALE_CONFIG_DIR: join(directory, 'config') }
  mkdirSync(join(directory, 'maps'))
  const came = (topic: string, payload: string) => ({
    topic,
    sender: 'd',
    messages: 1,
    lastAt: Date.now(),
    payload: Buffer.from(payload).toString('base64'),
    isWhole: true,
  })
  const unmapped = [
    came('meteo/roof-1/state', '{"t":1}'),
    came('pump/p-1/state', '{"bar":2}'),
    came('x/d-1/text', 'hello'),
  ]
  writeFileSync(join(directory, 'maps', 'unmapped.json'), JSON.stringify(unmapped))
  const propose = (...args: string[]) => telltale(directory, ['map', 'propose', ...args], config)
  const one = await propose('pump/p-1/state')
  assert.match(one.stdout, /^# pump\.yaml, proposed .*\n# {3}pump\/p-1\/state \(1\)\n/)
  assert.equal((await propose('pump.yaml')).stdout, one.stdout)
  assert.match((await propose('bump.yaml')).stderr, /^telltale: no map is proposed for bump\.yaml/)
  const out = join(directory, 'out')
  mkdirSync(out)
  writeFileSync(join(out, 'meteo.yaml'), 'mine')
  const { code, stdout, stderr } = await propose('--write', out)
  assert.equal(code, 0)
  assert.equal(stdout, `${out}/pump.yaml\n# x/d-1/text: 1 messages, of which no map can be guessed\n`)
  assert.match(
    stderr,
    /^telltale: .*out\/meteo\.yaml is there already, and is not overwritten: telltale map propose meteo\.yaml prints/,
  )
  assert.equal(readFileSync(join(out, 'meteo.yaml'), 'utf8'), 'mine')
})
