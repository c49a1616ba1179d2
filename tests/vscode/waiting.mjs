// Waiting for something to become true. No test says how long a thing may take: the limit here only ends a test that is stuck.

import { setTimeout as sleep } from "node:timers/promises";

export const STUCK_AFTER_MS = 90_000;

/** It will not become true any more: a condition that throws this is not waited for. */
export class Hopeless extends Error {}

/** What does not go away by waiting: mistakes in a test itself. */
const MISTAKES = [Hopeless, TypeError, ReferenceError];

/**
 * What `condition` returns as soon as that is neither false nor nothing. An error of the condition is "not yet".
 *
 * @param every the milliseconds between two looks
 * @param rests so many looks in a row have to find it so
 */
export async function until(what, condition, { every = 100, rests = 1 } = {}) {
  const began = Date.now();
  let trouble;
  let found = 0;
  while (Date.now() - began < STUCK_AFTER_MS) {
    try {
      const value = await condition();
      found = value ? found + 1 : 0;
      if (found >= rests) {
        return value;
      }
      trouble = undefined;
    } catch (error) {
      if (MISTAKES.some((mistake) => error instanceof mistake)) {
        throw new Error(`there is no waiting until ${what}`, { cause: error });
      }
      found = 0;
      trouble = error;
    }
    await sleep(every);
  }
  throw new Error(`waited in vain until ${what}`, { cause: trouble });
}

/** Whether `condition` becomes true within some milliseconds. */
export async function within(milliseconds, condition) {
  const began = Date.now();
  do {
    if (await condition()) {
      return true;
    }
    await sleep(50);
  } while (Date.now() - began < milliseconds);
  return false;
}

/** Whether somebody answers at an address. */
export function answers(url) {
  return fetch(url).then(
    ({ ok }) => ok,
    () => false,
  );
}
