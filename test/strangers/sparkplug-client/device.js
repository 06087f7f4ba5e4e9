/**
 * An edge node by npm's sparkplug-client: births, data by alias and by name, one compressed, a message that it forgets to send, a rebirth when it is asked, and
 * its death. Prints what it is asked, and ends.
 */

const { newClient } = require('sparkplug-client')

const { PORT, TELLTALE_TOKEN, NOW } = process.env
const now = Number(NOW)
const client = newClient({
  serverUrl: `mqtt://127.0.0.1:${PORT}`,
  username: 'plant:line4',
  password: TELLTALE_TOKEN,
  groupId: 'plant',
  edgeNode: 'line4',
  clientId: 'plant:line4',
  version: 'spBv1.0',
  publishDeath: true,
})

function births(at) {
  client.publishNodeBirth({
    timestamp: at,
    metrics: [
      { name: 'Node Control/Rebirth', type: 'Boolean', value: false },
      { name: 'Properties/Version', type: 'String', value: '1.8' },
    ],
  })
  client.publishDeviceBirth('press', {
    timestamp: at,
    metrics: [
      { name: 'i8', alias: 1, type: 'Int8', value: -5 },
      { name: 'i16', alias: 2, type: 'Int16', value: -32768 },
      { name: 'i32', alias: 3, type: 'Int32', value: -2147483648 },
      { name: 'i64', alias: 4, type: 'Int64', value: -5 },
      { name: 'u8', alias: 5, type: 'UInt8', value: 255 },
      { name: 'u16', alias: 6, type: 'UInt16', value: 65535 },
      { name: 'u32', alias: 7, type: 'UInt32', value: 4294967295 },
      { name: 'u64', alias: 8, type: 'UInt64', value: 9007199254740991 },
      { name: 'f', alias: 9, type: 'Float', value: 21.3, properties: { engUnit: { type: 'String', value: 'Cel' } } },
      { name: 'd', alias: 10, type: 'Double', value: 0.1 },
      { name: 'b', alias: 11, type: 'Boolean', value: true },
      { name: 's', alias: 12, type: 'String', value: 'läuft' },
      { name: 't', alias: 13, type: 'DateTime', value: at },
      { name: 'none', alias: 14, type: 'Int32', value: null },
    ],
  })
}

let isBorn = false
client.on('birth', () => {
  if (isBorn) return
  isBorn = true
  births(now)
  client.publishDeviceData('press', { timestamp: now + 1, metrics: [{ alias: 9, type: 'Float', value: 21.5 }] })
  const compressed = { timestamp: now + 2, metrics: [{ alias: 3, type: 'Int32', value: 7 }] }
  client.publishDeviceData('press', compressed, { compress: true, algorithm: 'GZIP' })
  client.seq++
  client.publishDeviceData('press', { timestamp: now + 3, metrics: [{ alias: 12, type: 'String', value: 'steht' }] })
})
client.on('ncmd', ({ metrics }) => {
  for (const { name, value } of metrics) console.log(`ncmd ${name} ${value}`)
  births(now + 4)
  client.publishDeviceData('press', { timestamp: now + 5, metrics: [{ alias: 1, type: 'Int8', value: 1 }] })
  client.stop()
})
client.on('close', () => process.exit())
client.on('error', (error) => {
  console.log(error.message)
  process.exit(1)
})
