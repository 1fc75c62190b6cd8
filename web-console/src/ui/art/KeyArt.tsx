/** A key, its bow a light. */
export function KeyArt() {
  return (
    <svg width="120" height="72" viewBox="0 0 120 72" fill="none" aria-hidden="true">
      <circle
        cx="38"
        cy="36"
        r="17"
        fill="var(--accent-soft)"
        stroke="var(--accent)"
        strokeWidth="2"
      />
      <circle cx="38" cy="36" r="5" fill="var(--accent)" />
      <path
        d="M55 36h43m-10 0v9m-12-9v6"
        stroke="var(--line-strong)"
        strokeWidth="2.5"
        strokeLinecap="round"
      />
    </svg>
  );
}
