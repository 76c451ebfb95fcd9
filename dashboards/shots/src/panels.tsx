// The panels. Grafana's own are not on npm: these put the parts that are (@grafana/ui) behind the same option names.
// What @grafana/ui has no part for is in drawn.tsx.
import React from 'react';
import {
  cacheFieldDisplayNames, getDisplayValueAlignmentFactors, getFieldDisplayValues, identityOverrideProcessor, PanelPlugin, renderTextPanelMarkdown, type GrafanaTheme2,
} from '@grafana/data';
import {
  BarGauge, BigValue, BigValueColorMode, BigValueGraphMode, BigValueJustifyMode, BigValueTextMode, TimeSeries, VizRepeater,
} from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { VizOrientation } from '@grafana/schema';
import { drawAnnotations } from './annotations';
import { StateTimeline } from './drawn';

const GRAPH: Record<string, unknown> = {
  drawStyle: 'line', lineInterpolation: 'linear', lineWidth: 1, fillOpacity: 0, gradientMode: 'none', showPoints: 'auto',
  pointSize: 5, spanNulls: false, axisPlacement: 'auto', axisLabel: '', axisColorMode: 'text', axisBorderShow: false,
  axisGridShow: true, axisWidth: undefined, axisSoftMin: undefined, axisSoftMax: undefined, lineStyle: undefined,
  scaleDistribution: { type: 'linear' }, axisCenteredZero: false, barAlignment: 0, barWidthFactor: 0.6, barMaxWidth: undefined,
  stacking: { mode: 'none', group: 'A' }, hideFrom: { tooltip: false, viz: false, legend: false }, fillBelowTo: undefined,
  transform: undefined, thresholdsStyle: { mode: 'off' }, insertNulls: false, showValues: false, lineColor: undefined,
  fillColor: undefined, neutral: undefined,
};
const TABLE: Record<string, unknown> = {
  align: 'auto', cellOptions: { type: 'auto' }, inspect: false, filterable: false, width: undefined, minWidth: undefined,
  hideFrom: undefined, wrapHeaderText: false, footer: undefined, tooltip: undefined,
};

type Props = any; // PanelProps of options that differ by panel; the JSON says which

const custom = (defaults: Record<string, unknown>) => ({
  useCustomConfig(builder: any) {
    for (const [id, defaultValue] of Object.entries(defaults))
      builder.addCustomEditor({
        id, path: id, name: id, defaultValue, editor: () => null, override: () => null,
        process: identityOverrideProcessor, shouldApply: () => true,
      });
  },
});
const byThreshold = { standardOptions: { color: { defaultValue: { mode: 'thresholds' } } } } as any;

const NoData = ({ fieldConfig }: Props) => (
  <div style={{ height: '100%', display: 'grid', placeItems: 'center', opacity: 0.6 }}>
    {fieldConfig.defaults.noValue ?? 'No data'}
  </div>
);
/** A panel that says so when there is nothing to draw. */
const drawing = (Panel: React.ComponentType<Props>) => (props: Props) =>
  props.data.series.some((frame: any) => frame.length > 0) ? <Panel {...props} /> : <NoData {...props} />;

const Graph = drawing((props: Props) => (
  <TimeSeries
    frames={props.data.series} structureRev={props.data.structureRev} timeRange={props.timeRange} timeZone={props.timeZone}
    width={props.width} height={props.height} options={props.options}
    legend={{ showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [], ...props.options.legend }}
  >
    {(config: any) => drawAnnotations(config) as any}
  </TimeSeries>
));

const Stat = (props: Props) => {
  const { options, theme, data } = props;
  const values = () =>
    getFieldDisplayValues({
      fieldConfig: props.fieldConfig, reduceOptions: options.reduceOptions, replaceVariables: props.replaceVariables, theme,
      data: data.series, sparkline: options.graphMode !== 'none', percentChange: options.showPercentChange, timeZone: props.timeZone,
    });
  return (
    <VizRepeater
      source={data} getValues={values} width={props.width} height={props.height} itemSpacing={3}
      orientation={options.orientation ?? VizOrientation.Auto} autoGrid
      renderValue={({ value, width, height, count }: any) => (
        <BigValue
          value={value.display} sparkline={value.sparkline} width={width} height={height} count={count} theme={theme}
          colorMode={options.colorMode ?? BigValueColorMode.Value} graphMode={options.graphMode ?? BigValueGraphMode.Area}
          justifyMode={options.justifyMode ?? BigValueJustifyMode.Auto} text={options.text}
          textMode={options.textMode === 'auto' && count === 1 ? BigValueTextMode.Value : (options.textMode ?? BigValueTextMode.Auto)}
          percentChangeColorMode={options.percentChangeColorMode} wideLayout={options.wideLayout ?? true}
        />
      )}
    />
  );
};

const Bars = drawing((props: Props) => {
  const { options, theme, data } = props;
  const orientation = options.orientation === 'vertical' ? VizOrientation.Vertical : VizOrientation.Horizontal;
  const values = () =>
    getFieldDisplayValues({
      fieldConfig: props.fieldConfig, reduceOptions: { calcs: ['lastNotNull'], ...options.reduceOptions },
      replaceVariables: props.replaceVariables, theme, data: data.series, timeZone: props.timeZone,
    });
  return (
    <VizRepeater
      source={data} getValues={values} width={props.width} height={props.height} orientation={orientation}
      minVizHeight={16} maxVizHeight={options.sizing === 'manual' ? options.maxVizHeight : 300} itemSpacing={8}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={({ value, width, height, alignmentFactors }: any) => (
        <BarGauge
          value={value.display} field={value.field} width={width} height={height} theme={theme} orientation={orientation}
          displayMode={options.displayMode ?? 'gradient'} showUnfilled={options.showUnfilled ?? true} itemSpacing={8}
          valueDisplayMode={options.valueMode} text={options.text} namePlacement={options.namePlacement} alignmentFactors={alignmentFactors} lcdCellWidth={12} display={value.view?.getFieldDisplayProcessor?.(value.colIndex)}
        />
      )}
    />
  );
});

const Table = drawing((props: Props) => {
  cacheFieldDisplayNames(props.data.series);
  return (
    <TableNG
      data={props.data.series[props.options.frameIndex ?? 0]} width={props.width} height={props.height} timeRange={props.timeRange}
      noHeader={props.options.showHeader === false} initialSortBy={props.options.sortBy} cellHeight={props.options.cellHeight}
      fieldConfig={props.fieldConfig} structureRev={props.data.structureRev} enableVirtualization={false}
    />
  );
});

const Text = ({ options, replaceVariables }: Props) => (
  <div
    className="markdown-html"
    dangerouslySetInnerHTML={{
      __html: options.mode === 'html' ? options.content : renderTextPanelMarkdown(replaceVariables(options.content ?? '')),
    }}
  />
);

/** Every panel type that a dashboard of ours may have. */
export function panels(theme: GrafanaTheme2): Record<string, PanelPlugin<any, any>> {
  const themed = (Panel: React.ComponentType<Props>) => (props: Props) => <Panel {...props} theme={theme} />;
  const plugins: Record<string, PanelPlugin<any, any>> = {
    timeseries: new PanelPlugin<any, any>(Graph).useFieldConfig(custom(GRAPH)),
    stat: new PanelPlugin<any, any>(themed(Stat)).useFieldConfig(byThreshold),
    bargauge: new PanelPlugin<any, any>(themed(Bars)).useFieldConfig(byThreshold),
    table: new PanelPlugin<any, any>(Table).useFieldConfig({ ...byThreshold, ...custom(TABLE) }),
    text: new PanelPlugin<any, any>(Text),
    'state-timeline': new PanelPlugin<any, any>(themed(drawing(StateTimeline))).useFieldConfig({ ...byThreshold, ...custom(GRAPH) }),
    'status-history': new PanelPlugin<any, any>(themed(drawing(StateTimeline))).useFieldConfig({ ...byThreshold, ...custom(GRAPH) }),
  };
  for (const [id, plugin] of Object.entries(plugins))
    (plugin as any).meta = {
      id, name: id, sort: 1, type: 'panel', module: '', baseUrl: '', info: { version: '13.2.2', logos: {}, links: [] },
      skipDataQuery: id === 'text',
    };
  return plugins;
}
