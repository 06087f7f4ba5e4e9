import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brokerAddress } from '../../../devices/simulator/fleet/broker-address.ts'

test('a URL becomes what mqtt connects to', () => {
  const cases: [url: string, address: object][] = [
    ['mqtt://127.0.0.1:1883', { protocol: 'mqtt', host: '127.0.0.1', port: 1883, path: '/' }],
    ['mqtts://broker.example', { protocol: 'mqtts', host: 'broker.example', path: '/' }],
    ['mqtt://[::1]:1', { protocol: 'mqtt', host: '::1', port: 1, path: '/' }],
    ['wss://h:2/mqtt', { protocol: 'wss', host: 'h', port: 2, path: '/mqtt' }],
    ['mqtt://me:p%40ss@h:3', { protocol: 'mqtt', host: 'h', port: 3, path: '/', auth: 'me:p@ss' }],
  ]
  for (const [url, address] of cases) assert.deepEqual(brokerAddress(url), address)
})
