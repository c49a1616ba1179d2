// A program and a process that it starts, a debug session each: the snapshots of one are no series with those of the other.

import assert from "node:assert/strict";
import path from "node:path";

import { expectWarning, takeSnapshot } from "./snapshot.mjs";
import { until } from "./waiting.mjs";
import { workbenchTest } from "./workbench.mjs";
import { createWorkspace, lineWith } from "./workspace.mjs";

const PARENT = /^\s*Parent/;
const CHILD = /Subprocess/;

/** Left of the buttons that a row of the call stack has while the mouse is on it. */
const NAME = { position: { x: 40, y: 8 } };

function prepare(home) {
  const launch = { name: "Parent", request: "launch", program: "${workspaceFolder}/parent.py", subProcess: true };
  return { folder: createWorkspace(path.join(home, "processes"), ["parent.py", "worker.py"], [launch]) };
}

workbenchTest("two processes", prepare, async (workbench, { folder }) => {
  await workbench.openFile("worker.py");
  await workbench.showDebugSidebar();
  await workbench.console();
  await workbench.startDebugging("Parent");
  const sessions = workbench.page.locator(".debug-call-stack .monaco-list-row");
  await until("the process that was started has a session", async () =>
    (await sessions.allInnerTexts()).some((row) => CHILD.test(row)),
  );
  await workbench.countStops();
  const folders = new Map();
  for (const session of [CHILD, PARENT]) {
    await sessions.filter({ hasText: session }).first().click(NAME);
    for (let taken = 0; taken < 3; taken += 1) {
      const { added } = await takeSnapshot(workbench, "toolbar");
      for (const dump of added) {
        const process = path.dirname(dump);
        folders.set(process, (folders.get(process) ?? 0) + 1);
      }
    }
  }
  assert.equal(folders.size, 2, `each process has a folder: ${[...folders.keys()].join(", ")}`);
  await workbench.openFile("worker.py");
  await expectWarning(workbench, lineWith(folder, "worker.py", "done.append"));
  await workbench.screenshot("child");
  await workbench.openFile("parent.py");
  await expectWarning(workbench, lineWith(folder, "parent.py", "ticks.append"));
  await workbench.screenshot("parent");
  await workbench.stopDebugging();
});
