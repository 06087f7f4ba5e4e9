/** Owns how the gateway's sentences are drawn: what stands between backticks is a command, a file or a setting. */

export function Words({ text }: { readonly text: string }) {
  return <>{text.split('`').map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))}</>
}
