import { type EChartsType, init } from "echarts/core";
import { epochs, look, onTheme } from "./curves";
import { all, need } from "./dom";

type Point = [number, number];

/** Both runs' losses by epoch over each other, drawn from the numbers of the table below. */
export class OverlaidCurves {
  private readonly chart: EChartsType;

  constructor(private readonly root: HTMLElement) {
    this.chart = init(need("[data-chart]", root), null, { renderer: "canvas" });
    onTheme(() => this.draw());
    new ResizeObserver(() => {
      this.chart.resize();
      this.draw();
    }).observe(root);
  }

  private draw(): void {
    const { base, axis, colour } = look(this.root);
    const rows = all<HTMLTableRowElement>("tbody tr", this.root).map((row) => all("th, td", row).map((cell) => cell.textContent));
    const column = (place: number): Point[] => rows.flatMap((cells) => (cells[place] ? [[Number(cells[0]), Number(cells[place])] as Point] : []));
    // A loss of a single epoch is a point; in both runs, training losses are dashed.
    const line = (name: string, place: number, token: string, isTraining: boolean) => ({
      name, type: "line", symbol: "circle", symbolSize: isTraining ? 4 : 7, data: column(place),
      lineStyle: { width: isTraining ? 1.2 : 2.5, type: isTraining ? "dashed" : "solid", color: colour(token) }, itemStyle: { color: colour(token) },
    });
    this.chart.setOption({
      ...base,
      // Without an icon of its own a legend shows its line, dashed or not.
      legend: { ...base.legend, icon: undefined, itemWidth: 26, itemHeight: 8 },
      xAxis: { ...axis, ...epochs(1, Math.max(2, rows.length)) },
      yAxis: { type: "value", min: 0, ...axis },
      series: [
        line("valid_loss before", 2, "--chart-1", false),
        line("valid_loss after", 5, "--chart-2", false),
        line("train_loss before", 1, "--chart-1", true),
        line("train_loss after", 4, "--chart-2", true),
      ],
    }, true);
  }
}
