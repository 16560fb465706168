import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { number } from "../format.ts";

interface ChartProps {
  /** What it shows, as one sentence: all that a screen reader gets besides the table of the figures. */
  summary: string;
  /** Milliseconds since the epoch, ascending. */
  x: readonly number[];
  y: readonly number[];
  kind: "bars" | "line";
  /** What the figures are of: "certificates". */
  unit: string;
  height?: number;
  /** How a moment is called under the pointer. */
  nameOf: (at: number) => string;
}

/** One series over time. */
export function Chart(props: ChartProps) {
  const { summary, x, y, kind, unit, height = 180, nameOf } = props;
  const holder = useRef<HTMLDivElement>(null);
  const [pointed, setPointed] = useState<string>();
  useEffect(() => {
    const element = holder.current;
    if (!element) return;
    let plot: uPlot | undefined;
    const words = (index: number | null | undefined): string | undefined => {
      const [at, value] = [x[index ?? -1], y[index ?? -1]];
      return at === undefined || value === undefined ? undefined : `${nameOf(at)}: ${number(value)} ${unit}`;
    };
    const draw = (): void => {
      plot?.destroy();
      plot = new uPlot(
        options({ kind, height, width: element.clientWidth, ink: inks(element) }, (index) =>
          setPointed(words(index)),
        ),
        [x.map((at) => at / 1_000), [...y]],
        element,
      );
    };
    draw();
    const sizes = new ResizeObserver(() => {
      if (plot && plot.width !== element.clientWidth) plot.setSize({ width: element.clientWidth, height });
    });
    sizes.observe(element);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", draw);
    document.addEventListener("themechange", draw);
    return () => {
      sizes.disconnect();
      scheme.removeEventListener("change", draw);
      document.removeEventListener("themechange", draw);
      plot?.destroy();
    };
  }, [x, y, kind, unit, height, nameOf]);
  return (
    <figure class="chart">
      <div ref={holder} role="img" aria-label={summary} />
      <figcaption class="small soft">{pointed ?? summary}</figcaption>
    </figure>
  );
}

interface Inks {
  bar: string;
  fill: string;
  text: string;
  grid: string;
}

/** A canvas knows no style sheets: what the page's own colours come to is asked of an element. */
function inks(element: HTMLElement): Inks {
  const probe = document.createElement("span");
  element.append(probe);
  const colour = (name: string): string => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const found = {
    bar: colour("--accent"),
    fill: colour("--good-ground"),
    text: colour("--soft-ink"),
    grid: colour("--line"),
  };
  probe.remove();
  return found;
}

interface Look {
  kind: ChartProps["kind"];
  height: number;
  width: number;
  ink: Inks;
}

/** Of a tick: with the time where they are less than a day apart. */
const TICK_DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const TICK_TIME = new Intl.DateTimeFormat("en-GB", { weekday: "short", hour: "2-digit", minute: "2-digit" });

function tickNames(_plot: uPlot, seconds: number[]): string[] {
  const [first = 0, second = first + 86_400] = seconds;
  const format = second - first < 86_400 ? TICK_TIME : TICK_DAY;
  return seconds.map((at) => format.format(new Date(at * 1_000)));
}

function options(
  { kind, height, width, ink }: Look,
  onPoint: (index: number | null | undefined) => void,
): uPlot.Options {
  const axis = {
    stroke: ink.text,
    font: "12px system-ui, sans-serif",
    grid: { stroke: ink.grid, width: 1 },
    ticks: { show: false },
  };
  return {
    width,
    height,
    cursor: { y: false, drag: { x: false, y: false } },
    legend: { show: false },
    hooks: { setCursor: [({ cursor }) => onPoint(cursor.idx)] },
    scales: { y: { range: (_plot, _min, max) => [0, Math.max(1, max) * 1.08] } },
    axes: [
      { ...axis, grid: { show: false }, space: 70, values: tickNames },
      {
        ...axis,
        size: 58,
        incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5],
      },
    ],
    series: [
      {},
      {
        stroke: ink.bar,
        fill: kind === "bars" ? ink.bar : ink.fill,
        width: kind === "bars" ? 0 : 2,
        points: { show: false },
        ...(kind === "bars" && uPlot.paths.bars
          ? { paths: uPlot.paths.bars({ size: [0.7, 24], radius: 0.15 }) }
          : {}),
        ...(kind === "line" && uPlot.paths.stepped ? { paths: uPlot.paths.stepped({ align: 1 }) } : {}),
      },
    ],
  };
}
