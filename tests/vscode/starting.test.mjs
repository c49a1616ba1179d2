// What a user sees of the extension before there is something to see: nothing until it is needed, and then a word for each reason why there is no
// snapshot.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";

import { until } from "./waiting.mjs";
import { workbenchTest } from "./workbench.mjs";
import { createWorkspace, dumps } from "./workspace.mjs";

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

  await workbench.startDebugging("Script");
  await workbench.run("heldby: Take Heap Snapshot");
  await told(workbench, /debug session of type (pwa-)?node/, say);
  await workbench.stopDebugging();

  await workbench.startDebugging("Worker");
  const milliseconds = await until("the extension is active", () => workbench.activation());
  say(`activation took ${milliseconds} ms`);
  await workbench.statusBarItem("Heap Snapshot").waitFor();
  await workbench.stopDebugging();
  await workbench.statusBarItem("Heap Snapshot").waitFor({ state: "hidden" });
  assert.deepEqual(dumps(folder), []);
  await workbench.showDebugSidebar();
  const view = await workbench.pane("heldby");
  await view.locator(".welcome-view", { hasText: "Start debugging a Python program" }).waitFor();
  await workbench.screenshot("welcome");
});

/** Waits for a message, and sends it away. */
async function told(workbench, text, say) {
  await until(`a message says ${text}`, async () => (await workbench.notifications()).some((message) => text.test(message)));
  say(`said: ${(await workbench.notifications()).join(" | ")}`);
  await workbench.screenshot("message");
  await workbench.run("Notifications: Clear All Notifications");
}
