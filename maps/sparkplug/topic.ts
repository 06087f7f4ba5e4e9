/**
 * Owns the topics of Sparkplug B 3.0 (section 4) and the device ids that they stand for here:
 *
 *   spBv1.0/{group}/{NBIRTH|NDATA|NDEATH|NCMD}/{node}                an edge node:  {group}:{node}
 *   spBv1.0/{group}/{DBIRTH|DDATA|DDEATH|DCMD}/{node}/{device}       its device:    {group}:{node}:{device}
 *   spBv1.0/STATE/{host}                                             a host application
 *
 * Always true: two names are never one id. What an id may not have in it becomes `_`, and then digits of the name's hash follow.
 */

import { createHash } from 'node:crypto'
import { DEVICE_ID_CHARS_MAX } from '../../platform/limits.ts'

const NAMESPACE = 'spBv1.0'
const HASH_DIGITS = 8

export type NodeType = 'NBIRTH' | 'NDATA' | 'NDEATH' | 'NCMD'
export type DeviceType = 'DBIRTH' | 'DDATA' | 'DDEATH' | 'DCMD'
export type SparkplugType = NodeType | DeviceType

export interface SparkplugTopic {
  readonly type: SparkplugType
  readonly group: string
  readonly node: string
  /** Undefined of a message of the edge node itself. */
  readonly device: string | undefined
}

const NODE_TYPES: readonly string[] = ['NBIRTH', 'NDATA', 'NDEATH', 'NCMD'] satisfies NodeType[]
const DEVICE_TYPES: readonly string[] = ['DBIRTH', 'DDATA', 'DDEATH', 'DCMD'] satisfies DeviceType[]

/** Whatever is below the namespace is of Sparkplug, understood or not. */
export const isSparkplug = (topic: string): boolean => topic.startsWith(`${NAMESPACE}/`)

export const stateTopic = (host: string): string => `${NAMESPACE}/STATE/${host}`
export const isStateTopic = (topic: string): boolean => topic.startsWith(`${NAMESPACE}/STATE/`)
export const commandTopic = (group: string, node: string): string => `${NAMESPACE}/${group}/NCMD/${node}`

/** Undefined of what is no message of an edge node or a device. */
export function parseSparkplug(topic: string): SparkplugTopic | undefined {
  const [namespace, group = '', type = '', node = '', device, ...more] = topic.split('/')
  if (namespace !== NAMESPACE || group === '' || node === '' || device === '' || more.length > 0) return undefined
  const types = device === undefined ? NODE_TYPES : DEVICE_TYPES
  return types.includes(type) ? { type: type as SparkplugType, group, node, device } : undefined
}

/** Whether readings come by it: a birth has the values of all metrics. */
export const hasReadings = ({ type }: SparkplugTopic): boolean => type.endsWith('BIRTH') || type.endsWith('DATA')

export const nodeIdOf = ({ group, node }: Pick<SparkplugTopic, 'group' | 'node'>): string => idOf([group, node])

export const deviceIdOf = ({ group, node, device }: SparkplugTopic): string =>
  idOf(device === undefined ? [group, node] : [group, node, device])

/** The id of what people write as its names, `{group}/{node}/{device}` or with colons between; undefined if these are no names. */
export function idOfNames(text: string): string | undefined {
  const names = text.split(text.includes('/') ? '/' : ':')
  const areNames = (names.length === 2 || names.length === 3) && !names.some((name) => name === '' || /[+#]/.test(name))
  return areNames ? idOf(names) : undefined
}

/** The edge node to which a device may subscribe with `filter`, for the commands to it and to its devices; undefined if it is another filter. */
export function commandedBy(filter: string): string | undefined {
  const [namespace, group = '', type, node = '', device, ...more] = filter.split('/')
  const isLiteral = ![group, node].some((level) => level === '' || level === '+' || level === '#')
  if (namespace !== NAMESPACE || !isLiteral || more.length > 0) return undefined
  const isNode = type === 'NCMD' && (device === undefined || device === '#')
  return isNode || (type === 'DCMD' && device !== undefined) ? nodeIdOf({ group, node }) : undefined
}

function idOf(names: readonly string[]): string {
  const plain = names.map((name) => name.replace(/[^A-Za-z0-9._-]/g, '_')).join(':')
  const whole = names.join('/')
  if (plain.length <= DEVICE_ID_CHARS_MAX && plain.replaceAll(':', '/') === whole) return plain
  const digits = createHash('sha256').update(whole).digest('hex').slice(0, HASH_DIGITS)
  return `${plain.slice(0, DEVICE_ID_CHARS_MAX - HASH_DIGITS - 1)}-${digits}`
}
