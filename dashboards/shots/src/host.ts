// The services that a Grafana server gives its front end, as far as scenes and panels ask for them.
import {
  createTheme, EventBusSrv, identityOverrideProcessor, LoadingState, standardEditorsRegistry,
  standardFieldConfigEditorRegistry, standardTransformers, standardTransformersRegistry,
} from '@grafana/data';
import {
  config, setAppEvents, setBackendSrv, setDataSourceSrv, setPluginImportUtils, setRunRequest, setTemplateSrv,
} from '@grafana/runtime';
import { catchError, map, of, type Observable } from 'rxjs';
import { InfluxSource } from './influx';
import { note } from './log';
import { panels } from './panels';

const THRESHOLDS = { mode: 'absolute', steps: [{ value: -Infinity, color: 'green' }, { value: 80, color: 'red' }] };
const DEFAULTS: Record<string, unknown> = { color: { mode: 'palette-classic' }, thresholds: THRESHOLDS, mappings: [], links: [] };
const PROPERTIES = [
  'unit', 'min', 'max', 'decimals', 'displayName', 'noValue', 'thresholds', 'mappings', 'color', 'links', 'filterable',
  'fieldMinMax', 'description', 'actions',
];
const EDITORS = [
  'number', 'text', 'boolean', 'radio', 'select', 'color', 'unit', 'string', 'strings', 'multi-select', 'stats-picker',
  'slider', 'view', 'timezone', 'fieldColor', 'field-name', 'dashboard-uid', 'links', 'actions', 'mappings', 'thresholds',
];

function registries(): void {
  const property = (id: string) => ({
    id, path: id, name: id, description: id, settings: {}, editor: () => null, override: () => null,
    process: identityOverrideProcessor as any, shouldApply: () => true, defaultValue: DEFAULTS[id],
  });
  standardFieldConfigEditorRegistry.setInit(() => PROPERTIES.map(property) as any);
  standardEditorsRegistry.setInit(() => EDITORS.map((id) => ({ id, name: id, editor: () => null })) as any);
  const transformation = (one: any) => ({
    id: one.id, name: one.name, editor: () => null, transformation: async () => one, imageDark: '', imageLight: '',
  });
  const known = new Map(Object.values(standardTransformers).map((one) => [one.id, transformation(one)])); // some have two names
  standardTransformersRegistry.setInit(() => [...known.values()] as any);
}

function dataSources(): void {
  const source = new InfluxSource();
  const settings: any = {
    uid: 'influx', name: 'InfluxDB', type: 'influxdb', isDefault: true, meta: { id: 'influxdb', info: {}, metrics: true },
  };
  setDataSourceSrv({
    get: async () => source, getInstanceSettings: () => settings, getList: () => [settings], reload() {},
    registerRuntimeDataSource() {},
  } as any);
  const failed = (request: any) => (error: unknown) => {
    note(error);
    const told = { message: String(error) };
    return of({ state: LoadingState.Error, series: [], timeRange: request.range, error: told, errors: [told] });
  };
  setRunRequest(((from: any, request: any) =>
    (from.query(request) as Observable<any>).pipe(
      map((answer) => ({ state: LoadingState.Done, series: answer.data, timeRange: request.range, request })),
      catchError(failed(request))
    )) as any);
}

/** Everything that must stand before the first scene is made; returns the theme. */
export function setUp(mode: 'dark' | 'light') {
  const theme = createTheme({ colors: { mode } });
  const settings = config as any;
  settings.theme2 = theme;
  settings.featureToggles ??= {};
  settings.bootData ??= { user: {} };
  setAppEvents(new EventBusSrv() as any);
  setBackendSrv({ fetch: () => of({ data: {} }), get: async () => ({}) } as any);
  setTemplateSrv({
    getVariables: () => [], replace: (text: string) => text, containsTemplate: () => false, updateTimeRange() {},
  } as any);
  registries();
  dataSources();
  const plugins = panels(theme);
  setPluginImportUtils({
    importPanelPlugin: async (id) => plugins[id] ?? Promise.reject(new Error(`no panel of type ${id}`)),
    getPanelPluginFromCache: (id) => plugins[id],
  });
  return theme;
}
