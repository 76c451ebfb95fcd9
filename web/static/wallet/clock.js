// The commune's time. A phone's own clock may be wrong: it is only asked how long ago the commune said what time it was.

const KEPT = "commonwatt-clock";
const WAIT_MS = 4000;

/** How far the phone's clock is behind the commune's, seconds: asked of the server, or as it was the last time. */
export async function offset() {
  try {
    const answer = await fetch("/clock", { cache: "no-store", signal: AbortSignal.timeout(WAIT_MS) });
    const { now_s } = await answer.json();
    const found = now_s - Date.now() / 1000;
    localStorage.setItem(KEPT, String(found));
    return found;
  } catch {
    return Number(localStorage.getItem(KEPT)) || 0;
  }
}

export const timeWith = (offsetS) => Math.max(0, Math.round(Date.now() / 1000 + offsetS));
