// A program that never rests and is never paused: its snapshots are taken while it runs. Then it does not answer, and then its disk is
// full: a snapshot can be given up, and each has a word that says what to do.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";

import { expectWarning, takeSnapshot } from "./snapshot.mjs";
import { until } from "./waiting.mjs";
import { workbenchTest } from "./workbench.mjs";
import { createWorkspace, dumps, lineWith, writeSettings } from "./workspace.mjs";

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

  // The program's number is the last word in the name of its dump.
  const [, pid] = /-(\d+)\.heldby$/.exec(dumps(folder)[0]);
  const taken = dumps(folder);
  process.kill(Number(pid), "SIGSTOP");
  try {
    await workbench.run("heldby: Take Heap Snapshot");
    await workbench.notificationButton("Heap snapshot", "Cancel").click();
    await until("nothing is said of it any more", async () => (await workbench.notifications()).length === 0);
    writeSettings(folder, { "heldby.snapshots.timeout": 2 });
    await workbench.run("heldby: Take Heap Snapshot");
    await told(workbench, /No heap snapshot of “Busy”: the debugger did not answer for \d+ s: .*; take the snapshot again/);
  } finally {
    process.kill(Number(pid), "SIGCONT");
  }
  writeSettings(folder, {});
  const [stood] = progress();
  await until("the loop goes on again", () => progress()[0] > stood);

  // Of its files, only the report is short enough.
  execFileSync("prlimit", ["--pid", pid, "--fsize=4096:"]);
  await workbench.run("heldby: Take Heap Snapshot");
  await told(workbench, /No heap snapshot of “Busy”: .* no room for it in .*: make room there/);
  assert.deepEqual(dumps(folder), taken);
  const others = readdirSync(path.join(folder, ".heldby")).filter((name) => !name.endsWith(".heldby"));
  assert.deepEqual(others, [".gitignore"], "no part of a dump is left");

  // It ends in the middle of a snapshot.
  process.kill(Number(pid), "SIGSTOP");
  await workbench.run("heldby: Take Heap Snapshot");
  await workbench.notificationButton("Heap snapshot", "Cancel").waitFor();
  process.kill(Number(pid), "SIGKILL");
  await told(workbench, /No heap snapshot of “Busy”: the program ended before/);
  await workbench.stopDebugging();
});

/** Waits for a message that was not there before, and sends it away. */
async function told(workbench, text) {
  await workbench.hasBeenTold(text, workbench.heard);
  await workbench.screenshot("message");
  await workbench.run("Notifications: Clear All Notifications");
  workbench.heard = (await workbench.notificationsSeen()).length;
}
