// Waiting for something to become true. No test says how long a thing may take: the limit here only ends a test that is stuck.

import { setTimeout as sleep } from "node:timers/promises";

const STUCK_AFTER_MS = 90_000;

/** What `condition` returns as soon as that is neither false nor nothing. An error of the condition is "not yet". */
export async function until(what, condition, { every = 100 } = {}) {
  const began = Date.now();
  let trouble;
  while (Date.now() - began < STUCK_AFTER_MS) {
    try {
      const value = await condition();
      if (value) {
        return value;
      }
      trouble = undefined;
    } catch (error) {
      trouble = error;
    }
    await sleep(every);
  }
  throw new Error(`waited in vain until ${what}`, { cause: trouble });
}
