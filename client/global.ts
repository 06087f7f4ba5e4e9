/** Owns what pages without a bundler get as `telltale`: all of the package. */

export { avro } from './avro/avro.ts'
export { connect, TelltaleError } from './client.ts'
