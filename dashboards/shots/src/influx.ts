// Grafana's InfluxDB data source in InfluxQL mode, as far as the dashboards use it: each query goes to the real server.
import { DataSourceApi, FieldType, toDataFrame } from '@grafana/data';
import { sceneGraph } from '@grafana/scenes';
import { from } from 'rxjs';
import { log } from './log';

const DATABASE = new URLSearchParams(location.search).get('db') ?? '';

type Series = { name: string; tags?: Record<string, string>; columns: string[]; values: any[][] };

export async function ask(query: string): Promise<Series[]> {
  log.pending++;
  try {
    const answer = await (await fetch('/query?' + new URLSearchParams({ db: DATABASE, epoch: 'ms', q: query }))).json();
    const result = answer.results?.[0] ?? {};
    const error: string | undefined = answer.error ?? result.error;
    const series: Series[] = result.series ?? [];
    log.queries.push({ query, series: series.length, rows: series.reduce((sum, one) => sum + one.values.length, 0), error });
    if (error) throw new Error(`${error}: ${query}`);
    return series;
  } finally {
    log.pending--;
    log.changed = performance.now();
  }
}

/** As the data source interpolates: alternatives of a regular expression for many values, the bare text for one. */
function format(value: unknown, variable: any): string {
  const escape = (text: unknown) => String(text).replace(/[\\^$*+?.()|[\]{}/]/g, '\\$&');
  if (Array.isArray(value)) return value.length === 1 ? escape(value[0]) : `(${value.map(escape).join('|')})`;
  return variable?.multi || variable?.includeAll ? escape(value) : String(value);
}

export function interpolate(query: string, range: any, interval: string, scene?: any, scopedVars?: any): string {
  const filter = `time >= ${range.from.valueOf()}ms and time <= ${range.to.valueOf()}ms`;
  const timed = query
    .replace(/\$timeFilter|\$\{timeFilter\}/g, filter)
    .replace(/\$__interval\b|\$\{__interval\}|\$interval\b/g, interval);
  return scene ? sceneGraph.interpolate(scene, timed, scopedVars, format) : timed;
}

function named(alias: string, series: Series, column: string): string {
  if (!alias) {
    const tags = Object.entries(series.tags ?? {}).map(([key, value]) => `${key}: ${value}`);
    return `${series.name}.${column}` + (tags.length ? ` {${tags.join(', ')}}` : '');
  }
  return alias
    .replace(/\$tag_(\w+)|\[\[tag_(\w+)\]\]/g, (_all, plain, bracketed) => series.tags?.[plain ?? bracketed] ?? '')
    .replace(/\$col|\[\[col\]\]/g, column)
    .replace(/\$m\b|\[\[m\]\]|\$measurement/g, series.name);
}

const typed = (name: string, values: any[]) =>
  name === 'time' ? FieldType.time : values.some((value) => typeof value === 'number') ? FieldType.number : FieldType.string;

function table(refId: string, all: Series[]) {
  const tags = [...new Set(all.flatMap((series) => Object.keys(series.tags ?? {})))];
  const columns = all[0]?.columns ?? [];
  const values = new Map<string, any[]>([columns[0], ...tags, ...columns.slice(1)].filter(Boolean).map((name) => [name, []]));
  for (const series of all)
    for (const row of series.values) {
      for (const tag of tags) values.get(tag)!.push(series.tags?.[tag] ?? null);
      columns.forEach((column, i) => values.get(column)!.push(row[i]));
    }
  const fields = [...values].map(([name, column]) => ({
    name: name === 'time' ? 'Time' : name, values: column, type: typed(name, column), config: {},
  }));
  return toDataFrame({ refId, fields });
}

function frames(target: any, alias: string, all: Series[]) {
  if (target.resultFormat === 'table') return all.length ? [table(target.refId, all)] : [];
  return all.flatMap((series) =>
    series.columns.slice(1).map((column, i) => {
      const name = named(alias, series, column);
      const values = series.values.map((row) => row[i + 1]);
      return toDataFrame({
        refId: target.refId,
        name,
        fields: [
          { name: 'Time', type: FieldType.time, values: series.values.map((row) => row[0]), config: {} },
          { name: 'Value', type: typed('', values), values, labels: series.tags, config: { displayNameFromDS: name } },
        ],
      });
    })
  );
}

export class InfluxSource extends DataSourceApi {
  constructor() {
    super({ uid: 'influx', id: 1, name: 'InfluxDB', type: 'influxdb', meta: { id: 'influxdb', name: 'InfluxDB', info: {} } } as any);
    this.interval = new URLSearchParams(location.search).get('interval') ?? '1m'; // the data source's "min time interval"
  }

  query(request: any): any {
    const scene = request.scopedVars?.__sceneObject?.value?.valueOf?.();
    const answers = request.targets
      .filter((target: any) => !target.hide)
      .map(async (target: any) => {
        const query = interpolate(target.query, request.range, request.interval ?? '1m', scene, request.scopedVars);
        const alias = scene ? sceneGraph.interpolate(scene, target.alias ?? '', request.scopedVars) : (target.alias ?? '');
        return frames(target, alias, await ask(query));
      });
    return from(Promise.all(answers).then((all) => ({ data: all.flat() })));
  }

  async metricFindQuery(query: any, options?: any) {
    const text = typeof query === 'string' ? query : query.query;
    const scene = options?.scopedVars?.__sceneObject?.value?.valueOf?.();
    const all = await ask(options?.range ? interpolate(text, options.range, '1m', scene, options.scopedVars) : text);
    return all.flatMap((series) => series.values.map((row) => ({ text: String(row[row.length - 1]) })));
  }

  async testDatasource() {
    return { status: 'success', message: 'ok' } as const;
  }
}
