import { LineChart } from "echarts/charts";
import { GridComponent, LegendComponent, TooltipComponent } from "echarts/components";
import { type EChartsType, init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";
import { resolver } from "./colours";
import { element, find } from "./dom";

use([LineChart, GridComponent, LegendComponent, TooltipComponent, CanvasRenderer]);

export interface Epoch {
  stage: number;
  epoch: number;
  train_loss: number;
  valid_loss: number;
  error_rate: number;
}

export interface Steps {
  stage: number;
  step: number;
  steps: number;
  losses: number[];
  learning_rate: number;
  momentum: number;
}

type Point = [number, number];

const LARGEST = 4000;
const NARROW = 420;

/** What the charts of losses have in common, in the colours of the present theme. */
export function look(root: HTMLElement) {
  const colour = resolver(root);
  return {
    colour,
    base: {
      animation: false,
      textStyle: { fontFamily: getComputedStyle(root).fontFamily },
      // On a narrow screen the legend takes two lines.
      grid: { left: 56, right: 56, top: root.clientWidth < NARROW ? 60 : 36, bottom: 36 },
      legend: { top: 0, left: 0, right: 0, itemWidth: 14, itemHeight: 4, itemGap: 16, icon: "roundRect", textStyle: { color: colour("--ink-2") } },
      tooltip: { trigger: "axis", renderMode: "richText", valueFormatter: short, backgroundColor: colour("--surface"), borderColor: colour("--line-strong"), textStyle: { color: colour("--ink"), fontSize: 12 } },
    },
    axis: { axisLine: { lineStyle: { color: colour("--line-strong") } }, axisLabel: { color: colour("--ink-2") }, splitLine: { lineStyle: { color: colour("--line") } }, nameTextStyle: { color: colour("--ink-2") } },
  };
}

/** An axis that counts epochs. */
export const epochs = (min: number, max: number) => ({ type: "value", name: "epoch", nameLocation: "middle", nameGap: 22, min, max, minInterval: 1 });

/** Draw again when the theme changes. */
export function onTheme(redraw: () => void): void {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
}

/** The curves of one stage; x counts its epochs. */
export class Curves {
  private readonly charts = new Map<string, EChartsType>();
  private epochs = 1;
  private batches: Point[] = [];
  private valid: Point[] = [];
  private rates: Point[] = [];
  private momenta: Point[] = [];
  private planned = 0;
  private oneStep = 0;

  constructor(
    private readonly root: HTMLElement,
    readonly stage: number,
  ) {
    onTheme(() => this.plan());
    new ResizeObserver(() => this.charts.forEach((chart) => chart.resize())).observe(root);
  }

  reset(planned: number, epochs: Epoch[], steps: Steps[]): void {
    this.epochs = planned;
    this.batches = [];
    this.valid = [];
    this.rates = [];
    this.momenta = [];
    steps.forEach((some) => this.keepSteps(some));
    epochs.forEach((epoch) => this.keepEpoch(epoch));
    this.plan();
  }

  addSteps(steps: Steps): void {
    this.keepSteps(steps);
    this.plan();
  }

  addEpoch(epoch: Epoch): void {
    this.keepEpoch(epoch);
    this.plan();
  }

  private keepSteps({ stage, step, steps, losses, learning_rate, momentum }: Steps): void {
    if (stage !== this.stage) return;
    const at = (number: number): number => (number / Math.max(1, steps)) * this.epochs;
    // After an interruption a part is learnt again: what was drawn of it gives way.
    for (const line of [this.batches, this.rates, this.momenta]) {
      while (line.length && (line.at(-1)?.[0] ?? 0) > at(step - losses.length) + 1e-9) line.pop();
    }
    losses.forEach((loss, place) => this.batches.push([at(step - losses.length + place + 1), loss]));
    // A batch is learnt with the rate that holds where it begins.
    this.oneStep = at(1);
    this.rates.push([at(step - 1), learning_rate]);
    this.momenta.push([at(step - 1), momentum]);
    if (this.batches.length > LARGEST) this.batches = this.batches.filter((_, place) => place % 2 === 0);
  }

  private keepEpoch(epoch: Epoch): void {
    if (epoch.stage !== this.stage) return;
    const x = epoch.epoch + 1;
    this.valid = [...this.valid.filter((point) => point[0] !== x), [x, epoch.valid_loss] as Point].sort((a, b) => a[0] - b[0]);
  }

  private plan(): void {
    this.planned ||= window.setTimeout(() => {
      this.planned = 0;
      this.draw();
    }, 250);
  }

  private draw(): void {
    if (!this.batches.length && !this.valid.length) return;
    this.root.hidden = false;
    const { base, axis, colour } = look(this.root);
    const x = { ...axis, ...epochs(0, this.epochs) };
    this.chart("loss")?.setOption({
      ...base,
      xAxis: x,
      yAxis: { type: "value", min: 0, ...axis },
      series: [
        { name: "train_loss (batches)", type: "line", showSymbol: false, lineStyle: { width: 1.2, color: colour("--chart-1"), opacity: 0.75 }, itemStyle: { color: colour("--chart-1") }, data: this.batches },
        { name: "valid_loss (epochs)", type: "line", symbol: "circle", symbolSize: 8, lineStyle: { width: 2.5, color: colour("--chart-2") }, itemStyle: { color: colour("--chart-2") }, data: this.valid },
      ],
    }, true);
    this.chart("rate")?.setOption({
      ...base,
      xAxis: x,
      yAxis: [
        { type: "value", min: 0, ...axis, axisLabel: { ...axis.axisLabel, formatter: power } },
        { type: "value", min: 0.8, max: 1, interval: 0.05, ...axis, splitLine: { show: false } },
      ],
      series: [
        { name: "planned", type: "line", showSymbol: false, lineStyle: { width: 4, opacity: 0.35, color: colour("--line-strong") }, itemStyle: { color: colour("--line-strong") }, data: this.planOf(1) },
        { name: "", type: "line", yAxisIndex: 1, showSymbol: false, tooltip: { show: false }, lineStyle: { width: 4, opacity: 0.35, color: colour("--line-strong") }, data: this.planOf(2) },
        { name: "rate of the head", type: "line", showSymbol: false, lineStyle: { width: 2, color: colour("--chart-1") }, itemStyle: { color: colour("--chart-1") }, data: this.rates },
        { name: "momentum (right)", type: "line", yAxisIndex: 1, showSymbol: false, lineStyle: { width: 1.5, type: "dashed", color: colour("--chart-2") }, itemStyle: { color: colour("--chart-2") }, data: this.momenta },
      ],
    }, true);
    this.writeTable();
  }

  /** How rate (1) or momentum (2) were to go: what was measured comes too seldom to show their shape. */
  private planOf(column: 1 | 2): Point[] {
    const points = JSON.parse(this.root.dataset["plan"] ?? "[]") as [number, number, number][];
    return points.map((point) => [point[0] * this.epochs, point[column]]);
  }

  private chart(name: string): EChartsType | null {
    const place = find(`[data-chart="${name}"]`, this.root);
    if (!place) return null;
    const known = this.charts.get(name) ?? init(place, null, { renderer: "canvas" });
    this.charts.set(name, known);
    return known;
  }

  private writeTable(): void {
    const body = find("[data-rate-table]", this.root);
    const every = Math.max(1, Math.ceil(this.rates.length / 40));
    const rows = this.rates.flatMap(([x, rate], place) =>
      place % every ? [] : [element("tr", {}, element("td", {}, x.toFixed(2)), element("td", { class: "number" }, this.lossAt(x + this.oneStep)), element("td", { class: "number" }, rate.toExponential(2)), element("td", { class: "number" }, (this.momenta[place]?.[1] ?? 0).toFixed(3)))],
    );
    body?.replaceChildren(...rows);
  }

  private lossAt(x: number): string {
    const found = this.batches.findLast((point) => point[0] <= x + 1e-9);
    return found ? found[1].toFixed(4) : "";
  }
}

const power = (value: number): string => (value ? value.toExponential(1) : "0");

const short = (value: unknown): string => {
  const number = Number(value);
  if (!number) return "0";
  return Math.abs(number) < 0.001 || Math.abs(number) >= 1000 ? number.toExponential(1) : number.toPrecision(3);
};
