import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import css from "./overview.module.css";

const HEIGHT_PX = 132;

/** What is drawn: rates have any fraction, counts none, and bytes stand at powers of two. */
export type Steps = "rate" | "count" | "bytes";

const STEPS: Record<Steps, number[] | undefined> = {
  rate: undefined,
  count: Array.from({ length: 8 }, (_, power) =>
    [1, 2, 5].map((step) => step * 10 ** power),
  ).flat(),
  bytes: Array.from({ length: 52 }, (_, power) => 2 ** power),
};

/** One series over time. */
export default function Plot({
  seconds,
  values,
  format,
  steps,
  label,
  onPoint,
}: {
  /** Moments, in seconds since 1970. */
  seconds: number[];
  values: number[];
  format: (value: number) => string;
  /** Distances that lines may have from each other. */
  steps: Steps;
  label: string;
  /** Called with the index of the point that is pointed at, and without one when none is. */
  onPoint: (index: number | undefined) => void;
}) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  const latest = useRef<[number[], number[]]>([seconds, values]);
  const scheme = useComputedColorScheme();

  // Drawn anew when the scheme changes: a canvas does not follow variables of CSS.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the scheme is read through the variables
  useEffect(() => {
    const element = host.current;
    if (element === null) return;
    plot.current = new uPlot(optionsFor(element, format, steps, onPoint), latest.current, element);
    const observer = new ResizeObserver(() => {
      plot.current?.setSize({ width: element.clientWidth, height: HEIGHT_PX });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [scheme, format, steps, onPoint]);

  useEffect(() => {
    latest.current = [seconds, values];
    plot.current?.setData(latest.current);
  }, [seconds, values]);

  return <div ref={host} className={css.plot} role="img" aria-label={label} />;
}

function optionsFor(
  element: HTMLElement,
  format: (value: number) => string,
  steps: Steps,
  onPoint: (index: number | undefined) => void,
): uPlot.Options {
  const style = getComputedStyle(element);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const accent = color("--accent");
  const axis = {
    stroke: color("--ink-3"),
    font: `11px ${color("--font-text")}`,
    ticks: { show: false },
  };
  return {
    width: element.clientWidth,
    height: HEIGHT_PX,
    padding: [6, 18, 0, 0],
    hooks: { setCursor: [({ cursor }) => onPoint(cursor.idx ?? undefined)] },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 9 } },
    legend: { show: false },
    scales: { y: { range: (_, min, max) => yRange(min, max) } },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 24,
        space: 64,
        values: (_, ticks) => ticks.map(clock),
      },
      {
        ...axis,
        grid: { stroke: color("--line"), width: 1 },
        size: (_, labels) => axisWidth(labels ?? []),
        space: 36,
        ...(STEPS[steps] ? { incrs: STEPS[steps] } : {}),
        values: (_, ticks) => ticks.map((tick) => whole(format(tick))),
      },
    ],
    series: [
      {},
      {
        stroke: accent,
        width: 2,
        // The token is written as #rrggbb; one in eight parts opaque.
        fill: `${accent}20`,
        points: { show: false },
      },
    ],
  };
}

/** From zero, with some air above; a flat line of zeros lies on the ground. */
function yRange(_min: number, max: number): [number, number] {
  return [0, max > 0 ? max * 1.2 : 1];
}

/** Without the digits that a round number does not need: `64.0 MiB` is `64 MiB`. */
function whole(text: string): string {
  return text.replace(/\.0+(?=\D|$)/, "");
}

/** Room for the longest label, px: what the labels do not take is the line's. */
function axisWidth(labels: string[]): number {
  return Math.max(...labels.map((label) => label.length), 2) * 6.4 + 10;
}

function clock(seconds: number): string {
  const at = new Date(seconds * 1000);
  const pad = (value: number) => String(value).padStart(2, "0");
  return `${pad(at.getHours())}:${pad(at.getMinutes())}`;
}
