/** A light that went down. */
export function LostArt() {
  return (
    <svg width="140" height="84" viewBox="0 0 140 84" fill="none" aria-hidden="true">
      <path
        d="M50 44a20 20 0 0 0 40 0z"
        fill="var(--accent-soft)"
        stroke="var(--accent)"
        strokeWidth="2"
        strokeDasharray="4 5"
      />
      <g stroke="var(--line-strong)" strokeWidth="2" strokeLinecap="round">
        <path d="M16 44h108" />
        <path d="M30 36c2-8 18-15 40-15s38 7 40 15" strokeDasharray="3 6" />
      </g>
    </svg>
  );
}
