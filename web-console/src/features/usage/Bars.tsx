import css from "./usage.module.css";

/** One bar a day. What it shows is in the table below it too. */
export function Bars({
  values,
  label,
  titleOf,
}: {
  values: readonly number[];
  label: string;
  titleOf: (index: number) => string;
}) {
  const max = Math.max(...values, Number.MIN_VALUE);
  return (
    <div className={css.bars} role="img" aria-label={label}>
      {values.map((value, index) => (
        <span
          key={index}
          title={titleOf(index)}
          className={css.bar}
          data-empty={value === 0 || undefined}
          style={{ height: value === 0 ? undefined : `${Math.max((value / max) * 100, 2)}%` }}
        />
      ))}
    </div>
  );
}
