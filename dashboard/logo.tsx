/** Owns the sign of the product. */

export function Logo() {
  return (
    <svg viewBox="0 0 16 16" aria-hidden="true" class="logo">
      <path d="M1 9h3l2-5 3 9 2-6 1 2h3" />
    </svg>
  )
}
