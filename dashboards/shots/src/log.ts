// What the page tells the one who takes the picture: every query, every error, and when nothing moves any more.

type Query = { query: string; series: number; rows: number; error?: string };

export const log = { queries: [] as Query[], errors: [] as string[], pending: 0, changed: performance.now() };
(window as any).shots = log;

export function note(error: unknown): void {
  log.errors.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
}

window.addEventListener('error', (event) => note(event.error ?? event.message));
window.addEventListener('unhandledrejection', (event) => note(event.reason));
