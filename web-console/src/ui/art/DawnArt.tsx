/** A light that comes up over platters. */
export function DawnArt() {
  return (
    <svg width="168" height="112" viewBox="0 0 168 112" fill="none" aria-hidden="true">
      <path d="M48 58a36 36 0 0 1 72 0z" fill="var(--accent-soft)" />
      <path d="M60 58a24 24 0 0 1 48 0z" fill="var(--accent)" opacity=".9" />
      <g stroke="var(--line-strong)" strokeWidth="2" strokeLinecap="round">
        <path d="M36 66c0 9 21.5 16 48 16s48-7 48-16" />
        <path d="M36 80c0 9 21.5 16 48 16s48-7 48-16" strokeDasharray="3 6" />
        <path d="M18 58h14M136 58h14M84 6v8M44 22l6 6M124 22l-6 6" />
      </g>
    </svg>
  );
}
