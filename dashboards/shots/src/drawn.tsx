// What @grafana/ui has no part for: the state timeline, drawn plainly from the same fields, thresholds, mappings and colours.
import React from 'react';
import { dateTimeFormat, FieldType, formattedValueToString, getDisplayProcessor, getFieldDisplayName, type DataFrame } from '@grafana/data';

/** One lane per field; neighbours of equal text are one block, coloured as mappings and thresholds say. */
export function StateTimeline(props: any) {
  const { width, height, theme, timeRange, options } = props;
  const isNamed = options.showValue !== 'never';
  const lanes = props.data.series.flatMap((frame: DataFrame) => {
    const times = frame.fields.find((field) => field.type === FieldType.time);
    return times ? frame.fields.filter((field) => field !== times).map((field) => ({ field, frame, times })) : [];
  });
  const [left, bottom] = [Math.min(170, width / 4), 22];
  const laneH = (height - bottom) / lanes.length;
  const [from, to] = [timeRange.from.valueOf(), timeRange.to.valueOf()];
  const x = (time: number) => left + ((width - left) * (time - from)) / (to - from);
  const text = { fontSize: 12, fill: theme.colors.text.primary };
  return (
    <svg width={width} height={height} fontFamily="Inter">
      {lanes.map(({ field, frame, times }: any, lane: number) => {
        const display = field.display ?? getDisplayProcessor({ field, theme });
        return (
          <g key={lane}>
            <text x={left - 8} y={laneH * (lane + 0.5) + 4} textAnchor="end" {...text}>{getFieldDisplayName(field, frame, props.data.series)}</text>
            {spans(times.values, field.values, to).map(({ start, end, value }, i) => {
              const one = display(value);
              const w = Math.max(x(end) - x(start), 1);
              return (
                <g key={i}>
                  <rect x={x(start)} y={laneH * lane + 2} width={w} height={Math.max(laneH - 4, 2)} fill={one.color} fillOpacity={0.85} />
                  {w > 60 && isNamed && <text x={x(start) + 6} y={laneH * (lane + 0.5) + 4} fontSize={12} fill="#111">{formattedValueToString(one)}</text>}
                </g>
              );
            })}
          </g>
        );
      })}
      {(width - left > 500 ? [0, 0.25, 0.5, 0.75, 1] : [0, 1]).map((share) => (
        <text key={share} x={left + (width - left) * share} y={height - 6} fontSize={11} fill={theme.colors.text.secondary} textAnchor={share === 1 ? 'end' : share ? 'middle' : 'start'}>
          {dateTimeFormat(from + (to - from) * share, { timeZone: props.timeZone, format: 'MM-DD HH:mm' })}
        </text>
      ))}
    </svg>
  );
}

function spans(times: number[], values: any[], to: number) {
  const found: { start: number; end: number; value: any }[] = [];
  times.forEach((start, i) => {
    if (values[i] === null || values[i] === undefined) return;
    const last = found[found.length - 1];
    const end = times[i + 1] ?? to;
    if (last && last.value === values[i] && last.end === start) last.end = end;
    else found.push({ start, end, value: values[i] });
  });
  return found;
}
