/** Owns the look of raw bytes: sixteen a line, with their offset and what of them is printable ASCII. */

const BYTES_A_LINE = 16

export function hexDump(bytes: Buffer): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += BYTES_A_LINE) {
    const line = bytes.subarray(at, at + BYTES_A_LINE)
    const hex = [...line].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
    const printable = [...line].map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '.')).join('')
    text += `${at.toString(16).padStart(6, '0')}  ${hex.padEnd(BYTES_A_LINE * 3 - 1)}  ${printable}\n`
  }
  return text
}
