// A program that runs on its own and listens for a debugger: attaching, taking snapshots and leaving does not end it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import path from "node:path";

import { freePort } from "./server.mjs";
import { expectWarning, takeSnapshot } from "./snapshot.mjs";
import { workbenchTest } from "./workbench.mjs";
import { createWorkspace, lineWith } from "./workspace.mjs";

async function prepare(home) {
  const port = await freePort();
  const attach = { name: "Attach", request: "attach", connect: { host: "127.0.0.1", port } };
  const folder = createWorkspace(path.join(home, "attached"), ["listening.py", "worker.py"], [attach]);
  const program = spawn(process.env.PYTHON, ["listening.py", String(port)], { cwd: folder, stdio: "ignore" });
  process.once("exit", () => program.kill());
  return { folder, program };
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
    await expectWarning(workbench, lineWith(folder, "worker.py", "done.append"));
    await workbench.screenshot("warning");
    await workbench.stopDebugging();
    assert.equal(program.exitCode, null, "the program lives on");
  } finally {
    program.kill();
  }
});
