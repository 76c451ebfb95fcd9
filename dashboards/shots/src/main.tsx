// One dashboard, classic JSON, as Grafana would show it: ?d=NAME&from=MS&to=MS&theme=dark|light&width=PX
import React from 'react';
import { createRoot } from 'react-dom/client';
import { MemoryRouter } from 'react-router-dom';
import { dateTime, dateTimeFormat, ThemeContext } from '@grafana/data';
import { LocationServiceProvider, locationService } from '@grafana/runtime';
import {
  ConstantVariable, CustomVariable, DataSourceVariable, EmbeddedScene, IntervalVariable, QueryVariable,   SceneDataTransformer, SceneGridItem, SceneGridLayout, SceneGridRow, SceneQueryRunner, SceneTimeRange,
  SceneVariableSet, sceneGraph, TextBoxVariable, VariableValueSelectors, VizPanel,
} from '@grafana/scenes';
import { GlobalStyles } from '@grafana/ui';
import { load } from './annotations';
import { setUp } from './host';
import { log, note } from './log';

const asked = new URLSearchParams(location.search);
const theme = setUp(asked.get('theme') === 'light' ? 'light' : 'dark');
const SOURCE = { uid: 'influx', type: 'influxdb' };
const ZONE = asked.get('zone') ?? 'UTC';
const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

const milliseconds = (text: string) => {
  const [, count, unit] = /^(\d+)([smhdw])$/.exec(text) ?? [];
  return Number(count) * UNITS[unit] * 1000;
};
const times = (from: number, to: number) =>
  new SceneTimeRange({ from: dateTime(from).toISOString(), to: dateTime(to).toISOString(), timeZone: ZONE });

/** A panel's own range: `timeFrom` is the last so much, `timeShift` so much earlier. */
function ownTimes(panel: any) {
  if (!panel.timeFrom && !panel.timeShift) return undefined;
  const shift = panel.timeShift ? milliseconds(panel.timeShift) : 0;
  const to = Number(asked.get('to')) - shift;
  const from = panel.timeFrom ? to - milliseconds(panel.timeFrom) : Number(asked.get('from')) - shift;
  return times(from, to);
}

function body(panel: any) {
  const runner = new SceneQueryRunner({
    datasource: SOURCE, queries: panel.targets ?? [], maxDataPoints: panel.maxDataPoints ?? undefined, minInterval: panel.interval,
  });
  const $data = panel.transformations?.length
    ? new SceneDataTransformer({ $data: runner, transformations: panel.transformations })
    : runner;
  return new VizPanel({
    title: panel.title, description: panel.description, pluginId: panel.type, options: panel.options ?? {},
    fieldConfig: panel.fieldConfig ?? { defaults: {}, overrides: [] }, displayMode: panel.transparent ? 'transparent' : 'default',
    $timeRange: ownTimes(panel), $data: panel.targets?.length ? $data : undefined,
  });
}

function cell(panel: any, i: number) {
  const { x, y, w, h } = panel.gridPos;
  if (panel.type === 'row') return new SceneGridRow({ key: `row${i}`, title: panel.title, y, isCollapsible: false, children: [] });
  return new SceneGridItem({ key: `item${i}`, x, y, width: w, height: h, body: body(panel) });
}

function variable(model: any) {
  const { name, label, hide, multi: isMulti, includeAll, allValue } = model;
  const given = asked.get(`var-${name}`) ?? undefined;
  const value = given ?? (includeAll ? '$__all' : model.current?.value);
  const common = { name, label, hide, value, text: given ?? (includeAll ? 'All' : model.current?.text) };
  switch (model.type) {
    case 'datasource':
      return new DataSourceVariable({ name, label, hide, pluginId: model.query });
    case 'constant':
      return new ConstantVariable({ name, label, hide, value: given ?? model.query });
    case 'custom':
      return new CustomVariable({ ...common, query: model.query, isMulti, includeAll, allValue });
    case 'interval':
      return new IntervalVariable({ name, label, hide, value, intervals: model.query.split(','), autoEnabled: model.auto });
    case 'textbox':
      return new TextBoxVariable({ name, label, hide, value: value ?? model.query });
    default:
      return new QueryVariable({
        ...common, datasource: SOURCE, query: model.query?.query ?? model.query, regex: model.regex, sort: model.sort,
        isMulti, includeAll, allValue, defaultToAll: includeAll,
      });
  }
}

function scene(dashboard: any) {
  const panels = dashboard.panels.flatMap((panel: any) => [panel, ...(panel.panels ?? [])]);
  return new EmbeddedScene({
    $timeRange: times(Number(asked.get('from')), Number(asked.get('to'))),
    $variables: new SceneVariableSet({ variables: (dashboard.templating?.list ?? []).map(variable) }),
    controls: [new VariableValueSelectors({})],
    body: new SceneGridLayout({ isLazy: false, isDraggable: false, isResizable: false, children: panels.map(cell) }),
  });
}

class Boundary extends React.Component<React.PropsWithChildren, { failed?: Error }> {
  state: { failed?: Error } = {};
  static getDerivedStateFromError = (failed: Error) => ({ failed });
  componentDidCatch = note;
  render() {
    return this.state.failed ? <pre>{this.state.failed.stack}</pre> : this.props.children;
  }
}

const day = (ms: string | null) => dateTimeFormat(Number(ms), { timeZone: ZONE, format: 'YYYY-MM-DD HH:mm' });
/** What panels say that failed, for the one who takes the picture. */
(window as any).failures = () =>
  sceneGraph
    .findAllObjects(shown, (one: any) => one.state.data?.errors?.length)
    .flatMap((one: any) => one.state.data.errors.map((error: any) => error.message ?? String(error)));

const dashboard = await (await fetch(`/dashboards/${asked.get('d')}.json`)).json();
const shown = scene(dashboard);
shown.activate();
while (shown.state.$variables!.state.variables.some((one) => shown.state.$variables!.isVariableLoadingOrWaitingToUpdate(one)))
  await new Promise((later) => setTimeout(later, 20));
await load(dashboard.annotations?.list ?? [], sceneGraph.getTimeRange(shown).state.value, shown);
log.changed = performance.now();
document.title = dashboard.title;

createRoot(document.getElementById('root')!).render(
  <Boundary>
    <MemoryRouter>
      <LocationServiceProvider service={locationService}>
        <ThemeContext.Provider value={theme}>
          <GlobalStyles />
          <header>
            <h1>{dashboard.title}</h1>
            <span>{dashboard.description}</span>
            <time>{day(asked.get('from'))} – {day(asked.get('to'))}</time>
          </header>
          <shown.Component model={shown} />
        </ThemeContext.Provider>
      </LocationServiceProvider>
    </MemoryRouter>
  </Boundary>
);
