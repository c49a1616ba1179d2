// What a user sees of the extension before there is something to see: nothing until it is needed, and then a word for each reason why there is no
// snapshot.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";

import { until } from "./waiting.mjs";
import { inOneLine, workbenchTest } from "./workbench.mjs";
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
  assert.equal(await activation(workbench), undefined, "a Python file alone does not start the extension");

  await workbench.run("heldby: Take Heap Snapshot");
  await told(workbench, /No Python program is being debugged/, say);

  await workbench.startDebugging("Script");
  await workbench.run("heldby: Take Heap Snapshot");
  await told(workbench, /debug session of type (pwa-)?node/, say);
  await workbench.stopDebugging();

  await workbench.startDebugging("Worker");
  const milliseconds = await until("the extension is active", () => activation(workbench));
  say(`activation took ${milliseconds} ms`);
  await workbench.statusBarItem("Heap Snapshot").waitFor();
  await workbench.stopDebugging();
  await workbench.statusBarItem("Heap Snapshot").waitFor({ state: "hidden" });
  assert.deepEqual(dumps(folder), []);
});

/** Waits for a message, and sends it away. */
async function told(workbench, text, say) {
  await until(`a message says ${text}`, async () => (await workbench.notifications()).some((message) => text.test(message)));
  say(`said: ${(await workbench.notifications()).join(" | ")}`);
  await workbench.screenshot("message");
  await workbench.run("Notifications: Clear All Notifications");
}

/** The milliseconds that the extension needed to become active, as VS Code reports it; nothing if it is not. */
async function activation(workbench) {
  await workbench.run("Developer: Show Running Extensions");
  const rows = workbench.page.locator(".runtime-extensions-editor .monaco-list-row");
  await rows.first().waitFor();
  const texts = (await rows.allInnerTexts()).map(inOneLine);
  // It is a window of its own, or an editor beside others.
  await workbench.page.keyboard.press("Escape");
  if (await rows.first().isVisible()) {
    await workbench.run("View: Close Editor");
  }
  const ours = texts.find((text) => text.startsWith("heldby "));
  const [, milliseconds] = /(\d+)\s?ms/.exec(ours ?? "") ?? [];
  return milliseconds && Number(milliseconds);
}
