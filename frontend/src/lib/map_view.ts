const MARGIN = 0.94;
const LARGEST = 400;

/** Which part of the map is seen: its own measure goes from -1 to 1, the screen's in CSS pixels from the top left. */
export class MapView {
  width = 1;
  height = 1;
  private x = 0;
  private y = 0;
  private zoom = 1;

  /** CSS pixels of one unit of the map. */
  get scale(): number {
    return ((MARGIN * Math.min(this.width, this.height)) / 2) * this.zoom;
  }

  /** How much larger than the whole map it is shown. */
  get enlarged(): number {
    return this.zoom;
  }

  toScreenX(x: number): number {
    return this.width / 2 + (x - this.x) * this.scale;
  }

  toScreenY(y: number): number {
    return this.height / 2 + (y - this.y) * this.scale;
  }

  toMapX(x: number): number {
    return (x - this.width / 2) / this.scale + this.x;
  }

  toMapY(y: number): number {
    return (y - this.height / 2) / this.scale + this.y;
  }

  fit(): void {
    [this.x, this.y, this.zoom] = [0, 0, 1];
  }

  /** Move what is seen by so many CSS pixels. */
  pan(dx: number, dy: number): void {
    this.x = between(this.x - dx / this.scale);
    this.y = between(this.y - dy / this.scale);
  }

  /** Enlarge; what lies under a point of the screen stays there. */
  zoomAt(x: number, y: number, factor: number): void {
    const [mapX, mapY] = [this.toMapX(x), this.toMapY(y)];
    this.zoom = Math.min(LARGEST, Math.max(0.5, this.zoom * factor));
    this.x = between(this.x + mapX - this.toMapX(x));
    this.y = between(this.y + mapY - this.toMapY(y));
  }

  /** Move so that a point of the map is well in sight. */
  show(x: number, y: number): void {
    const [screenX, screenY] = [this.toScreenX(x), this.toScreenY(y)];
    const edge = Math.min(48, this.width / 4, this.height / 4);
    this.pan(inwards(screenX, edge, this.width), inwards(screenY, edge, this.height));
  }
}

const between = (value: number): number => Math.min(1.2, Math.max(-1.2, value));

const inwards = (at: number, edge: number, end: number): number => (at < edge ? edge - at : at > end - edge ? end - edge - at : 0);
