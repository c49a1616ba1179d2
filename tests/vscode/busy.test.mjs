// A program that never rests and is never paused: its snapshots are taken while it runs.

import { readFileSync } from "node:fs";
import path from "node:path";

import { expectWarning, takeSnapshot } from "./snapshot.mjs";
import { until } from "./waiting.mjs";
import { workbenchTest } from "./workbench.mjs";
import { createWorkspace, lineWith } from "./workspace.mjs";

function prepare(home) {
  const report = path.join(home, "report.txt");
  const launch = { name: "Busy", request: "launch", program: "${workspaceFolder}/busy.py", args: [report] };
  return { folder: createWorkspace(path.join(home, "busy"), ["busy.py"], [launch]), report };
}

workbenchTest("a busy loop", prepare, async (workbench, { folder, report, say }) => {
  const progress = () => readFileSync(report, "utf8").split(" ").map(Number);
  await workbench.openFile("busy.py");
  await workbench.showDebugSidebar();
  await workbench.console();
  await workbench.startDebugging("Busy");
  await workbench.countStops();
  for (const number of [1, 2, 3]) {
    const [before] = await until("the loop goes on", progress);
    await until("the loop has gone on", () => progress()[0] > before + 1_000_000);
    const { milliseconds } = await takeSnapshot(workbench);
    say(`snapshot ${number}: ${milliseconds} ms`);
  }
  await expectWarning(workbench, lineWith(folder, "busy.py", "samples.append"));
  await workbench.screenshot("warning");
  const [after] = progress();
  await until("the loop goes on after the snapshots", () => progress()[0] > after);
  say(`the longest pause between two rounds of the loop was ${progress()[1]} s`);
  await workbench.stopDebugging();
});
