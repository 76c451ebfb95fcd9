// Annotations: asked once for the whole dashboard, drawn over every graph as Grafana draws them.
import { ask, interpolate } from './influx';

type Annotation = { from: number; to?: number; color: string };

let all: Annotation[] = [];

/** The event annotations of the dashboard in its time range. */
export async function load(list: any[], range: any, scene: any): Promise<void> {
  const wanted = list.filter((one) => one.enable !== false && (one.query ?? one.target?.query));
  const found = await Promise.all(
    wanted.map(async (one) => {
      const target = one.target ?? one;
      const series = await ask(interpolate(target.query, range, '1m', scene));
      const end = (columns: string[]) => columns.indexOf(target.timeEndColumn || 'timeEnd');
      return series.flatMap((part) =>
        part.values.map((row) => ({
          from: row[0], to: end(part.columns) < 0 ? undefined : (row[end(part.columns)] ?? undefined), color: one.iconColor ?? '#5794F2',
        }))
      );
    })
  );
  all = found.flat();
}

/** Hooks into a graph's plot: a dashed line where something happened, a band where it lasted. Draws nothing itself. */
export function drawAnnotations(config: any): null {
  if (!all.length || config.annotated) return null;
  config.annotated = true;
  config.addHook('draw', (plot: any) => {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const { from, to, color } of all) {
      const x = plot.valToPos(from, 'x', true);
      ctx.fillStyle = ctx.strokeStyle = color;
      if (to !== undefined) {
        ctx.globalAlpha = 0.12;
        ctx.fillRect(x, bbox.top, plot.valToPos(to, 'x', true) - x, bbox.height);
      }
      ctx.globalAlpha = 0.9;
      ctx.setLineDash([5, 5]);
      ctx.lineWidth = 1;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  });
  return null;
}
