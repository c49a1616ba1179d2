// Taking a heap snapshot as a user does, and seeing that nothing else has happened: the program was not stopped, nothing was printed, and
// what the user looks at is where it was.

import assert from "node:assert/strict";

import { dumps } from "./workspace.mjs";
import { Hopeless, until } from "./waiting.mjs";

export const TITLE = "Take Heap Snapshot";

/** The ways to the command that a user has while debugging. */
const WAYS = {
  palette: (workbench) => workbench.run(`heldby: ${TITLE}`),
  toolbar: (workbench) => workbench.debugButton(TITLE).click(),
  statusBar: (workbench) => workbench.statusBarItem(/heldby|heap/i).click(),
};

/**
 * Takes a snapshot, of all processes that are debugged, and waits until it is done.
 *
 * @param processes so many are debugged
 * @returns the new dumps, and the milliseconds from the click to its end
 */
export async function takeSnapshot(workbench, way = "palette", processes = 1) {
  const before = await seen(workbench, RESTS);
  const stopsBefore = await workbench.stops();
  const taken = await timeSnapshot(workbench, way, processes);
  assert.deepEqual(await seen(workbench), before, `a snapshot by the ${way} changes nothing of what is seen`);
  assert.equal(await workbench.stops(), stopsBefore, `a snapshot by the ${way} does not stop the program`);
  return taken;
}

/** The same of a program that prints all the while. */
export async function timeSnapshot(workbench, way, processes = 1) {
  const before = new Set(dumps(workbench.folder));
  const fresh = () => dumps(workbench.folder).filter((dump) => !before.has(dump));
  const told = (await workbench.notificationsSeen()).length;
  const began = Date.now();
  await WAYS[way](workbench);
  // The file can be there before the page shows that it is being made.
  await until("there is a new dump of each process, and the snapshot is done", async () => {
    const messages = (await workbench.notificationsSeen(told)).map(({ text }) => text);
    const trouble = messages.find((text) => text.includes("No heap snapshot"));
    if (trouble !== undefined) {
      throw new Hopeless(trouble);
    }
    const isShown = (await workbench.notifications()).some((text) => text.includes("Heap snapshot"));
    return messages.some((text) => text.includes("Heap snapshot")) && !isShown && fresh().length >= processes;
  });
  return { added: fresh(), milliseconds: Date.now() - began };
}

/** What the program has printed is in the console when so many looks have found the same there. */
const RESTS = 3;

/** What a snapshot must leave as it is. */
async function seen(workbench, rests = 1) {
  let console;
  await until("the console has come to rest", async () => {
    const rows = JSON.stringify(await workbench.console());
    const isSame = rows === console;
    console = rows;
    return isSame;
  }, { every: 300, rests });
  return {
    console,
    file: await workbench.activeFile(),
    cursor: await workbench.cursor(),
    breakpoints: await workbench.breakpoints(),
  };
}

/** Waits for the one warning in the file that is open, and checks that it is on a line. */
export async function expectWarning(workbench, line) {
  // Lines that are out of sight are not drawn.
  await workbench.goToLine(line);
  const squiggles = workbench.squiggles();
  await squiggles.first().waitFor({ state: "attached" });
  await until("the warning is on its line", async () => {
    assert.equal(await workbench.lineOf(squiggles.first()), line);
    assert.equal(await squiggles.count(), 1, "one warning");
    return true;
  });
}
