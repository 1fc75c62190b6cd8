/** Small drawings of the product's own motif: a light over platters. */

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

export function LetterArt() {
  return (
    <svg width="80" height="68" viewBox="20 10 80 68" fill="none" aria-hidden="true">
      <path d="M38 34a22 22 0 0 1 44 0z" fill="var(--accent)" opacity=".9" />
      <rect
        x="22"
        y="30"
        width="76"
        height="46"
        rx="7"
        fill="var(--surface)"
        stroke="var(--line-strong)"
        strokeWidth="2"
      />
      <path
        d="M24 35l36 24 36-24"
        stroke="var(--line-strong)"
        strokeWidth="2"
        strokeLinecap="round"
        strokeLinejoin="round"
      />
    </svg>
  );
}

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
