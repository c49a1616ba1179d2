// What a user sees of the extension before there is something to see: nothing until it is needed, and then a word for each reason why there is no
// snapshot.

import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import path from "node:path";

import { timeSnapshot } from "./snapshot.mjs";
import { until } from "./waiting.mjs";
import { workbenchTest } from "./workbench.mjs";
import { createWorkspace, dumps, writeSettings } from "./workspace.mjs";

function prepare(home) {
  const folder = createWorkspace(path.join(home, "project"), ["worker.py"], [
    { name: "Worker", request: "launch", program: "${workspaceFolder}/worker.py" },
    { name: "Script", type: "node", request: "launch", program: "${workspaceFolder}/idle.js" },
  ]);
  writeFileSync(path.join(folder, "idle.js"), "setInterval(() => {}, 1000);\n");
  return { folder };
}

workbenchTest("nothing before it is needed", prepare, async (workbench, { folder, say }) => {
  await workbench.openFile("worker.py");
  assert.equal(await workbench.activation(), undefined, "a Python file alone does not start the extension");

  await workbench.run("heldby: Take Heap Snapshot");
  await told(workbench, /No Python program is being debugged/, say);

  // A server that is not there: said, once, until it is.
  writeSettings(folder, { "heldby.path": path.join(folder, "nowhere") });
  await workbench.startDebugging("Script", { isPython: false });
  await workbench.run("heldby: Take Heap Snapshot");
  await told(workbench, /debug session of type (pwa-)?node/, say);
  const before = (await workbench.notificationsSeen()).length;
  await workbench.startDebugging("Worker");
  await told(workbench, /language server does not start: .*heldby\.path/, say);
  const milliseconds = await until("the extension is active", () => workbench.activation());
  say(`activation took ${milliseconds} ms`);
  const seen = await workbench.notificationsSeen(before);
  assert.equal(seen.filter(({ severity }) => severity !== "info").length, 1, `said once: ${JSON.stringify(seen)}`);
  writeSettings(folder, {});

  // A program of another language has the focus: the one of Python is meant.
  await workbench.showDebugSidebar();
  await workbench.page.locator(".debug-call-stack .monaco-list-row", { hasText: "Script" }).first().click();
  await timeSnapshot(workbench, "palette");
  const taken = dumps(folder);
  assert.equal(taken.length, 1);
  await workbench.stopDebugging();
  await workbench.statusBarItem("Heap Snapshot").waitFor({ state: "hidden" });
  for (const dump of taken) {
    rmSync(dump);
  }
  const view = await workbench.pane("heldby");
  await view.locator(".welcome-view", { hasText: "Start debugging a Python program" }).waitFor();
  await workbench.screenshot("welcome");
});

/** Waits for a message, and sends it away. */
async function told(workbench, text, say) {
  await workbench.hasBeenTold(text);
  say(`said: ${(await workbench.notifications()).join(" | ")}`);
  await workbench.screenshot("message");
  await workbench.run("Notifications: Clear All Notifications");
}
