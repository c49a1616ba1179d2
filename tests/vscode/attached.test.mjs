// A program that runs elsewhere and listens for a debugger: attaching, taking snapshots and leaving does not end it. Its dumps come
// through the debugger, and its sources are those of the workspace. What is found leads to its holder and its referrers. Snapshots at an
// interval come without a word, and no more of them when the debugger has left.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { freePort } from "./server.mjs";
import { expectWarning, takeSnapshot } from "./snapshot.mjs";
import { until, within } from "./waiting.mjs";
import { inOneLine, workbenchTest } from "./workbench.mjs";
import { createWorkspace, dumps, lineWith, writeSettings } from "./workspace.mjs";

async function prepare(home) {
  const port = await freePort();
  const there = createWorkspace(path.join(home, "elsewhere"), ["listening.py", "worker.py"], []);
  const pathMappings = [{ localRoot: "${workspaceFolder}", remoteRoot: there }];
  const attach = { name: "Attach", request: "attach", connect: { host: "127.0.0.1", port }, pathMappings };
  const folder = createWorkspace(path.join(home, "attached"), ["listening.py", "worker.py"], [attach]);
  const program = spawn(process.env.PYTHON, ["listening.py", String(port)], { cwd: there, stdio: ["ignore", "pipe", "ignore"] });
  process.once("exit", () => program.kill());
  await once(program.stdout, "data");
  return { folder, program, settings: { "heldby.snapshots.alwaysTransfer": true } };
}

workbenchTest("attached", prepare, async (workbench, { folder, program, say }) => {
  try {
    await workbench.openFile("worker.py");
    await workbench.showDebugSidebar();
    await workbench.console();
    await workbench.startDebugging("Attach");
    await workbench.countStops();
    for (const number of [1, 2, 3]) {
      const { milliseconds } = await takeSnapshot(workbench, "toolbar");
      say(`snapshot ${number}: ${milliseconds} ms`);
    }
    const store = lineWith(folder, "worker.py", "done.append");
    await expectWarning(workbench, store);
    await workbench.screenshot("warning");
    await showReferrers(workbench, folder, store);
    await peek(workbench, store);
    await takeAtInterval(workbench, folder);
    await workbench.stopDebugging();
    assert.equal(program.exitCode, null, "the program lives on");
    // One that had begun may still come.
    await sleep(1000);
    const last = dumps(folder);
    await sleep(3000);
    assert.deepEqual(dumps(folder), last, "no snapshot is taken any more");
  } finally {
    program.kill();
  }
});

/** The quick fix opens the References view, whose next entry is where the cursor goes. */
async function showReferrers(workbench, folder, store) {
  await workbench.goToLine(store, 12);
  await workbench.quickFix("Show referrers");
  const rows = async () => (await workbench.references().allInnerTexts()).map(inOneLine);
  await until("the referrers name the holder", async () => (await rows()).some((row) => row.includes("worker.done")));
  await workbench.screenshot("referrers");
  const holder = lineWith(folder, "worker.py", "done = []");
  await until("the next entry is where the holder is defined", async () => {
    await workbench.page.keyboard.press("F4");
    return within(2500, async () => (await workbench.cursor()).line === holder);
  });
}

/** The line that stores and the one that defines the holder, beside each other. */
async function peek(workbench, store) {
  await workbench.goToLine(store, 12);
  await workbench.run("heldby: Peek Holders and Stores");
  for (const text of ["done = []", "done.append"]) {
    await workbench.peeked().locator(".monaco-list-row", { hasText: text }).first().waitFor();
  }
  await workbench.screenshot("peek");
  await workbench.page.keyboard.press("Escape");
  await workbench.peeked().waitFor({ state: "hidden" });
}

async function takeAtInterval(workbench, folder) {
  const told = (await workbench.notificationsSeen()).length;
  const stops = await workbench.stops();
  const before = dumps(folder).length;
  // The way through the debugger, which takes longer, has been gone already.
  writeSettings(folder, { "heldby.snapshots.every": 1, "heldby.snapshots.alwaysTransfer": false });
  await until("there are more snapshots", () => dumps(folder).length >= before + 2);
  assert.deepEqual(await workbench.notificationsSeen(told), [], "nothing is said of a snapshot that nobody asked for");
  assert.equal(await workbench.stops(), stops, "the program was not stopped");
}
