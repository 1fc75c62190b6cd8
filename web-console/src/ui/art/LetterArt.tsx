/** A light that comes out of a letter. */
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
