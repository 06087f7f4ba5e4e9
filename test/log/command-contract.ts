/** Owns what every log must do with the commands to devices. `open` is as in `contract.ts`. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  COMMANDS_PER_DEVICE_BYTES_MAX,
  COMMANDS_PER_DEVICE_MAX,
  type Command,
  type CommandChange,
  type Commands,
  ENDED_PER_DEVICE_MAX,
} from '../../log/commands.ts'
import { systemClock } from '../../platform/clock.ts'
import { until } from '../until.ts'
import type { OpensLog } from './contract.ts'

const HOUR_MS = 3_600_000

export function add(commands: Commands, device: string, text = '{"on":true}', forMs = HOUR_MS): Promise<Command> {
  return commands.add({ device, payload: Buffer.from(text), expiresAt: systemClock.now() + forMs })
}

const statesOf = (commands: Commands, device: string) => commands.of(device).map(({ state }) => state)

async function become(commands: Commands, command: Command, ...states: CommandChange['state'][]): Promise<void> {
  for (const state of states) await commands.change(command.device, [{ id: command.id, state }])
}

export function testCommands(open: OpensLog): void {
  test('a command waits for its device, in order, and is there with its payload when the log is opened again', async (t) => {
    const { log, reopen } = await open(t)
    const first = await add(log.commands, 'truck-7', '{"lamp":"ä"}')
    const second = await add(log.commands, 'truck-7', '2')
    await add(log.commands, 'truck-70', '3')
    assert.notEqual(first.id, second.id)
    const { commands } = await reopen()
    assert.deepEqual(
      commands.of('truck-7').map(({ id, state, payload }) => [id, state, Buffer.from(payload).toString()]),
      [
        [first.id, 'waiting', '{"lamp":"ä"}'],
        [second.id, 'waiting', '2'],
      ],
    )
    assert.deepEqual(commands.of('truck'), [])
  })

  test('it is sent, once or again, and then acknowledged, or refused: nothing changes what is over', async (t) => {
    const { commands } = (await open(t)).log
    const [a, b] = [await add(commands, 'a'), await add(commands, 'a')]
    await become(commands, a, 'acknowledged', 'refused')
    assert.deepEqual(statesOf(commands, 'a'), ['waiting', 'waiting'], 'it was not sent')
    await become(commands, a, 'sent', 'sent', 'acknowledged', 'sent', 'refused', 'cancelled')
    await commands.change('a', [{ id: b.id, state: 'sent' }])
    await commands.change('a', [{ id: b.id, state: 'refused', reason: 'packet-too-large' }])
    const [one, other] = commands.of('a')
    assert.deepEqual(
      [one?.state, one?.sends, other?.state, other?.reason],
      ['acknowledged', 2, 'refused', 'packet-too-large'],
    )
    const counts = commands.counts()
    assert.deepEqual([counts.acknowledged, counts.refused, counts.open], [1, 1, 0])
  })

  test('what is sent at QoS 0 is over, and stays sent', async (t) => {
    const { commands } = (await open(t)).log
    const { id } = await add(commands, 'a')
    await commands.change('a', [{ id, state: 'sent', isLast: true }])
    await commands.change('a', [{ id, state: 'acknowledged' }])
    assert.deepEqual(await commands.change('a', [{ id, state: 'sent' }]), [])
    assert.deepEqual(statesOf(commands, 'a'), ['sent'])
    assert.equal(commands.counts().open, 0)
  })

  test('what was cancelled while it waited is never sent; of what was sent before the acknowledgement may still come', async (t) => {
    const { commands } = (await open(t)).log
    const [a, b] = [await add(commands, 'a'), await add(commands, 'a')]
    await become(commands, a, 'cancelled', 'sent', 'acknowledged')
    await become(commands, b, 'sent', 'cancelled')
    assert.deepEqual(statesOf(commands, 'a'), ['cancelled', 'cancelled'])
    await become(commands, b, 'acknowledged')
    assert.deepEqual(statesOf(commands, 'a'), ['cancelled', 'acknowledged'])
  })

  test('what is expired is sent to nobody, and makes room', async (t) => {
    const { commands } = (await open(t)).log
    const late = await add(commands, 'a', '1', 0)
    const next = await add(commands, 'a')
    assert.equal(commands.nextExpiry(), late.expiresAt)
    assert.deepEqual(await commands.change('a', [{ id: late.id, state: 'sent' }]), [])
    assert.deepEqual(
      (await commands.expire()).map(({ id }) => id),
      [late.id],
    )
    assert.deepEqual(await commands.expire(), [])
    assert.deepEqual(statesOf(commands, 'a'), ['expired', 'waiting'])
    assert.equal(commands.nextExpiry(), next.expiresAt)
  })

  test('one more than a device may have is refused, by number or by bytes, until one is over', async (t) => {
    const { commands } = (await open(t)).log
    const first = await add(commands, 'a')
    for (let count = 1; count < COMMANDS_PER_DEVICE_MAX; count++) await add(commands, 'a')
    await assert.rejects(add(commands, 'a'), { code: 'device-commands-full' })
    await become(commands, first, 'cancelled')
    await add(commands, 'a')
    const large = 'x'.repeat(COMMANDS_PER_DEVICE_BYTES_MAX / 4 - 600)
    for (let count = 0; count < 4; count++) await add(commands, 'b', large)
    await assert.rejects(add(commands, 'b', large), { code: 'device-commands-full' })
    await add(commands, 'c', large)
  })

  test('of those that are over a device has the newest', async (t) => {
    const { commands } = (await open(t)).log
    const waiting = await add(commands, 'a', '0')
    for (let count = 1; count <= ENDED_PER_DEVICE_MAX + 2; count++) {
      await become(commands, await add(commands, 'a', `${count}`), 'cancelled')
    }
    const texts = commands.of('a').map(({ payload }) => Buffer.from(payload).toString())
    assert.equal(texts.length, 1 + ENDED_PER_DEVICE_MAX)
    assert.deepEqual([texts[0], texts[1]], ['0', '3'])
    assert.equal(waiting.state, 'waiting')
    assert.equal(commands.counts().cancelled, ENDED_PER_DEVICE_MAX + 2)
  })

  test('who follows is told of each device with a command that is new or cancelled', async (t) => {
    const { commands } = (await open(t)).log
    await add(commands, 'before')
    const ending = new AbortController()
    const told: (string | undefined)[] = []
    const following = (async () => {
      for await (const device of commands.follow(ending.signal)) told.push(device)
    })()
    const { id } = await add(commands, 'a')
    await commands.change('a', [{ id, state: 'sent' }])
    await add(commands, 'b')
    await commands.change('a', [{ id, state: 'cancelled' }])
    await until(() => told.length >= 3)
    ending.abort()
    await following
    assert.deepEqual(told, ['a', 'b', 'a'])
  })

  test('an id of another log, or of no command, changes nothing', async (t) => {
    const { commands } = (await open(t)).log
    const { id } = await add(commands, 'a')
    const others = ['', 'x', '__proto__', `00000000-${id.split('-')[1]}`, `${id}0`]
    for (const each of others) assert.deepEqual(await commands.change('a', [{ id: each, state: 'cancelled' }]), [])
    assert.deepEqual(await commands.change('b', [{ id, state: 'cancelled' }]), [])
  })
}
