// The commune's time. A phone's own clock may be wrong: it is only asked how long ago the commune said what time it was.

const KEPT = "commonwatt-clock";
const WAIT_MS = 4000;
const FRESH_S = 3600;

/** How far the phone's clock is behind the commune's, seconds: asked of the server, or as it was the last time. */
export async function offset() {
  try {
    const answer = await fetch("/clock", { cache: "no-store", signal: AbortSignal.timeout(WAIT_MS) });
    const { now_s } = await answer.json();
    const found = now_s - Date.now() / 1000;
    localStorage.setItem(KEPT, JSON.stringify({ offset: found, at: Date.now() / 1000 }));
    return found;
  } catch {
    return kept().offset;
  }
}

/** Know it for when there is no connection. */
export async function remember() {
  if (Math.abs(Date.now() / 1000 - kept().at) > FRESH_S) await offset();
}

function kept() {
  const { offset = 0, at = 0 } = JSON.parse(localStorage.getItem(KEPT) ?? "{}");
  return { offset, at };
}

export const timeWith = (offsetS) => Math.max(0, Math.round(Date.now() / 1000 + offsetS));

/** The commune's time as far as it is known here. */
export const timeNow = () => timeWith(kept().offset);
