import { LineChart } from "echarts/charts";
import { GridComponent, TooltipComponent } from "echarts/components";
import { type EChartsType, init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";
import { resolver } from "./colours";
import { words } from "./rates";

use([LineChart, GridComponent, TooltipComponent, CanvasRenderer]);

export interface Find {
  learning_rates: number[];
  losses: number[];
  losses_low: number[];
  losses_high: number[];
}

/** A rule's point: its number in the list, and its rate. */
export interface Mark {
  number: string;
  rate: number;
}

/** The loss by learning rate with the rules' points; draws again when theme or width change. */
export class FindCurve {
  private readonly chart: EChartsType;

  constructor(
    private readonly place: HTMLElement,
    private readonly find: Find,
    private readonly marks: Mark[],
    private readonly onMoved: () => void,
  ) {
    this.chart = init(place, null, { renderer: "canvas" });
    const redraw = (): void => this.draw();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    new ResizeObserver(() => {
      this.chart.resize();
      this.onMoved();
    }).observe(place);
    this.draw();
  }

  /** Where a rate lies, in pixels from the left. */
  toPixel(rate: number): number {
    return Number(this.chart.convertToPixel({ xAxisIndex: 0 }, rate));
  }

  /** The rate at so many pixels from the left. */
  toRate(pixel: number): number {
    return Number(this.chart.convertFromPixel({ xAxisIndex: 0 }, pixel));
  }

  private lossAt(rate: number): number {
    const place = this.find.learning_rates.findIndex((known) => known >= rate * 0.999);
    return this.find.losses[place] ?? Number.NaN;
  }

  private draw(): void {
    const { learning_rates: rates, losses, losses_low: low, losses_high: high } = this.find;
    const colour = resolver(this.place);
    const axis = { axisLine: { lineStyle: { color: colour("--line-strong") } }, axisLabel: { color: colour("--ink-2") }, splitLine: { lineStyle: { color: colour("--line") } }, nameTextStyle: { color: colour("--ink-2") } };
    const points = (values: number[]): [number, number][] => rates.map((rate, place) => [rate, values[place] ?? Number.NaN]);
    const band = { type: "line", showSymbol: false, silent: true, stack: "band", stackStrategy: "all", lineStyle: { opacity: 0 }, tooltip: { show: false } };
    const shown = this.marks.filter((mark) => mark.rate >= (rates[0] ?? 0) && mark.rate <= (rates.at(-1) ?? 0) * 1.001);
    this.chart.setOption({
      animation: false,
      textStyle: { fontFamily: getComputedStyle(this.place).fontFamily },
      grid: { left: 48, right: 20, top: 12, bottom: 44 },
      tooltip: { trigger: "axis", renderMode: "richText", backgroundColor: colour("--surface"), borderColor: colour("--line-strong"), textStyle: { color: colour("--ink"), fontSize: 12 }, formatter: (items: { seriesName: string; value: [number, number] }[]) => {
        const line = items.find((item) => item.seriesName === "loss");
        return line ? `rate ${words(line.value[0])}\nloss ${line.value[1].toFixed(3)}` : "";
      } },
      xAxis: { type: "log", min: rates[0], max: rates.at(-1), name: "learning rate", nameLocation: "middle", nameGap: 26, ...axis, axisLabel: { ...axis.axisLabel, formatter: words, showMinLabel: false, showMaxLabel: false, hideOverlap: true } },
      yAxis: { type: "value", scale: true, ...axis },
      series: [
        { ...band, name: "low", data: points(low) },
        { ...band, name: "band", areaStyle: { color: colour("--chart-1"), opacity: 0.18 }, data: points(high.map((value, place) => value - (low[place] ?? value))) },
        { name: "loss", type: "line", showSymbol: false, lineStyle: { width: 2.2, color: colour("--chart-1") }, itemStyle: { color: colour("--chart-1") }, data: points(losses) },
        ...shown.map((mark, place) => ({
          name: mark.number, type: "line", silent: true, symbol: "circle", symbolSize: 20, z: 5, tooltip: { show: false },
          itemStyle: { color: colour("--surface"), borderColor: colour("--chart-2"), borderWidth: 2 },
          // Points that coincide stand one above the other.
          label: { show: true, position: "inside", formatter: mark.number, color: colour("--ink"), fontWeight: 650, fontSize: 11 },
          symbolOffset: [0, -24 * shown.slice(0, place).filter((other) => Math.abs(Math.log(other.rate / mark.rate)) < 0.5).length],
          data: [[mark.rate, this.lossAt(mark.rate)]],
        })),
      ],
    }, true);
    this.onMoved();
  }
}
