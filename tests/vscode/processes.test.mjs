// A program and a process that it starts, a debug session each: the snapshots of one are no series with those of the other.

import assert from "node:assert/strict";
import path from "node:path";

import { expectWarning, takeSnapshot } from "./snapshot.mjs";
import { workbenchTest } from "./workbench.mjs";
import { createWorkspace, lineWith } from "./workspace.mjs";

/** Each process with the line that it leaks at. */
const LEAKS = [
  ["parent.py", "ticks.append"],
  ["worker.py", "done.append"],
];

function prepare(home) {
  const launch = { name: "Parent", request: "launch", program: "${workspaceFolder}/parent.py", subProcess: true };
  return { folder: createWorkspace(path.join(home, "processes"), ["parent.py", "worker.py"], [launch]) };
}

workbenchTest("two processes", prepare, async (workbench, { folder }) => {
  await workbench.openFile("worker.py");
  await workbench.showDebugSidebar();
  await workbench.console();
  await workbench.startDebugging("Parent");
  await workbench.waitForProcesses(2);
  await workbench.countStops();
  for (const number of [1, 2, 3]) {
    const { added } = await takeSnapshot(workbench, "toolbar", 2);
    assert.equal(added.length, 2, `snapshot ${number} is of both processes: ${added.join(", ")}`);
  }
  for (const [file, text] of LEAKS) {
    await show(workbench, file);
    await workbench.openFile(file);
    await expectWarning(workbench, lineWith(folder, file, text));
    await workbench.screenshot(path.basename(file, ".py"));
  }
  await workbench.stopDebugging();
});

/** Has the findings of a process shown, in the view. */
async function show(workbench, program) {
  const pane = await workbench.pane("heldby");
  const row = pane.locator(".monaco-list-row", { hasText: program }).filter({ hasText: "3 dumps" }).first();
  await row.waitFor();
  if (!(await row.innerText()).includes("shown")) {
    await row.hover();
    await row.locator('.action-label[aria-label="Show This Process"]').click();
    await row.filter({ hasText: "shown" }).waitFor();
  }
}
