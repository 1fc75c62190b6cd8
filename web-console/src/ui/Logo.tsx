/** The mark: a light that rises over the platters of a database. */
export function Mark({ size = 28 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" fill="none" aria-hidden="true">
      <path d="M7 14.5a9 9 0 0 1 18 0z" fill="var(--mark-light, #f0a91e)" />
      <g stroke="currentColor" strokeWidth="2.6" strokeLinecap="round">
        <path d="M4.5 18.5c0 2.6 5.1 4.6 11.5 4.6s11.5-2 11.5-4.6" />
        <path d="M4.5 24c0 2.6 5.1 4.6 11.5 4.6s11.5-2 11.5-4.6" />
      </g>
    </svg>
  );
}

export function Logo({ size = 26 }: { size?: number }) {
  return (
    <span
      style={{
        display: "inline-flex",
        alignItems: "center",
        gap: 9,
        color: "inherit",
        fontSize: size * 0.62,
        fontWeight: 640,
        letterSpacing: "-0.02em",
      }}
    >
      <Mark size={size} />
      LumaDB
    </span>
  );
}
