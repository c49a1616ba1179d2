// Tests with all of VS Code's interface, inside its extension host: `inside/suite.cjs` has them, a page of the workbench brings them there.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { inspect } from "node:util";

import { startServer } from "./server.mjs";
import { freshFolder, openBrowser } from "./workbench.mjs";
import { createWorkspace } from "./workspace.mjs";

/** What the suite prints begins with it. */
const MARK = "suite: ";
const STUCK_AFTER_MS = 150_000;

/** What is said to VS Code as the place of a file on the server's side. */
const remote = (server, file) => `vscode-remote://127.0.0.1:${server.port}${file}`;

test("inside the extension host", async (context) => {
  const name = `inside-${process.env.VSCODE_VERSION}`;
  const home = freshFolder(name);
  const launch = { name: "Worker", request: "launch", program: "${workspaceFolder}/worker.py" };
  const folder = createWorkspace(path.join(home, "project"), ["worker.py"], [launch]);
  const server = await startServer({ folder: path.join(home, "vscode"), runsTests: true });
  let browser;
  let page;
  try {
    ({ browser, page } = await openBrowser());
    let ends;
    const ended = new Promise((resolve) => (ends = resolve));
    await page.exposeFunction("codeAutomationExit", ends);
    await page.exposeFunction("codeAutomationLog", (_severity, words) => {
      const line = words.map(String).join(" ");
      if (line.startsWith(MARK)) {
        context.diagnostic(line.slice(MARK.length));
      }
    });
    const payload = [
      ["extensionDevelopmentPath", remote(server, path.join(import.meta.dirname, "inside", "host"))],
      ["extensionTestsPath", remote(server, path.join(import.meta.dirname, "inside", "suite.cjs"))],
    ];
    const query = `folder=${encodeURIComponent(folder)}&payload=${encodeURIComponent(JSON.stringify(payload))}`;
    await page.goto(`${server.address}/?${query}`);
    const stuck = new Promise((resolve) => setTimeout(resolve, STUCK_AFTER_MS, "stuck").unref());
    assert.equal(await Promise.race([ended, stuck]), 0);
  } catch (error) {
    console.error(`FAILED: ${inspect(error)}\n${server.heldbySaid()}\n${server.said()}`);
    mkdirSync(process.env.ARTEFACTS, { recursive: true });
    await page?.screenshot({ path: path.join(process.env.ARTEFACTS, `${name}-failed.png`) }).catch(() => {});
    throw error;
  } finally {
    await browser?.close();
    await server.stop();
  }
});
