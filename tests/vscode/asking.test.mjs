// Who holds this, asked in each place where VS Code has a name; snapshots that nobody asks for; a server that is killed; a dump that was
// taken elsewhere.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";

import { until } from "./waiting.mjs";
import { inOneLine, workbenchTest } from "./workbench.mjs";
import { createWorkspace, dumps, lineWith } from "./workspace.mjs";

const launch = { name: "Rounds", request: "launch", program: "${workspaceFolder}/rounds.py" };

workbenchTest(
  "who holds this",
  (home) => ({
    folder: createWorkspace(path.join(home, "rounds"), ["rounds.py"], [launch]),
    settings: { "heldby.snapshots.onStop": true },
  }),
  async (workbench, { folder, home }) => {
    const at = lineWith(folder, "rounds.py", "return newest");
    await workbench.openFile("rounds.py");
    await workbench.goToLine(at);
    await workbench.toggleBreakpoint();
    await workbench.showDebugSidebar();
    await workbench.startDebugging("Rounds");
    await workbench.waitUntilPaused();
    // It was set so: a stop takes a snapshot.
    await until("there is a dump", () => dumps(folder).length > 0);

    // The name under the cursor.
    await workbench.goToLine(lineWith(folder, "rounds.py", "KEPT.append"), 11);
    await workbench.run("heldby: Who Holds This?");
    await expectReferrer(workbench, "__main__.KEPT");
    await workbench.screenshot("cursor");

    // A watch expression.
    await workbench.showDebugSidebar();
    await watch(workbench, "KEPT[0]");
    const expression = workbench.page.locator(".debug-watch .monaco-list-row", { hasText: "KEPT[0]" }).first();
    await workbench.chooseFromMenu(expression, "Who Holds This?");
    await expectReferrer(workbench, "[0] of a list");
    await workbench.screenshot("watch");

    // Nothing to be found: said, and nothing shown.
    await workbench.showDebugSidebar();
    await watch(workbench, "[1, 2]");
    const made = workbench.page.locator(".debug-watch .monaco-list-row", { hasText: "[1, 2]" }).first();
    await workbench.chooseFromMenu(made, "Who Holds This?");
    await workbench.hasBeenTold(/Who holds “\[1, 2\]”\? `\[1, 2\]` is held by nothing/);
    await workbench.run("Notifications: Clear All Notifications");

    // The server is killed: said, and what was loaded is there again.
    await workbench.showDebugSidebar();
    const has = async (text) => (await workbench.rows("heldby")).some((row) => row.includes(text));
    await until("the view has the program", () => has("rounds.py"));
    const log = path.join(home, "vscode", "heldby.log");
    const loads = () => readFileSync(log, "utf8").split("objects of process").length;
    let before = loads();
    const kill = (signal, known) => signalServer(log, signal, known);
    const first = await kill("SIGKILL");
    await workbench.hasBeenTold(/ended unexpectedly and was started again/);
    await workbench.screenshot("killed");
    await workbench.notificationButton("ended unexpectedly", "Show Log").click();
    await workbench.page.locator(".output-view").first().waitFor();
    await until("the view has the program again", () => has("rounds.py"));

    // It is killed again and again: not started any more, but when the user wants it.
    let last = first;
    for (const _ of [2, 3, 4]) {
      // One that is killed before is one that does not start.
      await until("it has loaded the dumps", () => loads() >= before + dumps(folder).length);
      before = loads();
      last = await kill("SIGKILL", last);
    }
    await workbench.hasBeenTold(/ended unexpectedly several times/);
    await until("the view has nothing any more", async () => !(await has("rounds.py")));
    await workbench.notificationButton("several times", "Restart Server").click();
    await until("the view has the program once more", () => has("rounds.py"));

    // It hangs.
    await kill("SIGSTOP", last);
    await workbench.run("heldby: Restart Server");
    await until("the view has the program in spite of it", () => has("rounds.py"));
    await workbench.run("Notifications: Clear All Notifications");
    await workbench.stopDebugging();

    // A dump from elsewhere.
    for (const pane of ["Variables", "Watch", "Call Stack", "Breakpoints"]) {
      await workbench.fold(pane);
    }
    const elsewhere = path.join(home, "elsewhere");
    mkdirSync(elsewhere);
    const copy = path.join(elsewhere, "copy.heldby");
    copyFileSync(dumps(folder)[0], copy);
    for (const dump of dumps(folder)) {
      rmSync(dump);
    }
    await until("what is gone is not shown any more", async () => !(await has("rounds.py")));
    await workbench.run("Notifications: Clear All Notifications");
    await workbench.run("heldby: Open Dump…");
    const box = workbench.page.locator(".quick-input-widget input[type=text]").first();
    await box.waitFor();
    await until("the dialogue has taken the file", async () => {
      if (!(await box.isVisible())) {
        return true;
      }
      // A dialogue that has only just opened writes its folder over what was typed, and Enter then goes into that.
      if ((await box.inputValue()) !== copy) {
        await box.fill(copy);
      }
      await workbench.page.keyboard.press("Enter");
      // Enter that comes while the dialogue still looks the path up begins that anew: on a busy machine it is given some time.
      return box.waitFor({ state: "hidden", timeout: 15_000 }).then(() => true, () => false);
    });
    await until("the view has what the dump tells", () => has("rounds.py"));
    await workbench.screenshot("opened");
    const view = await workbench.pane("heldby");
    const program = view.locator(".monaco-list-row", { hasText: "rounds.py" }).first();
    await program.hover();
    await program.locator('.action-label[aria-label="Delete"]').click();
    await workbench.page.locator(".monaco-dialog-box .monaco-button", { hasText: "Delete" }).click();
    await until("it is deleted", async () => !existsSync(copy) && !(await has("rounds.py")));
  },
);

workbenchTest(
  "a workspace that is not trusted",
  (home) => ({ folder: createWorkspace(path.join(home, "rounds"), ["rounds.py"], [launch]), trustAll: false }),
  async (workbench, { folder }) => {
    await workbench.statusBarItem("Restricted Mode").waitFor();
    await workbench.openFile("rounds.py");
    assert.equal(await workbench.offered("heldby: Take Heap Snapshot"), false, "nothing of heldby is offered");
    assert.deepEqual(dumps(folder), []);
  },
);

/** Sends a signal to the server that has come after one that is known. */
async function signalServer(log, signal, known) {
  const pid = await until("the server runs", () => {
    const pids = execFileSync("pgrep", ["-f", `^${process.env.VSCODE_EXTENSIONS}/.*heldby lsp$`], { encoding: "utf8" }).trim().split("\n");
    // Of this test: others may run beside it.
    const isOurs = (pid) => readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(`HELDBY_LOG=${log}`);
    return pids.map(Number).find((pid) => pid !== known && isOurs(pid));
  });
  process.kill(pid, signal);
  return pid;
}

async function expectReferrer(workbench, text) {
  const named = async () => (await workbench.references().allInnerTexts()).some((row) => inOneLine(row).includes(text));
  await until(`the referrers name ${text}`, named);
}

async function watch(workbench, expression) {
  const pane = await workbench.pane("Watch");
  await pane.locator(".pane-header").first().hover();
  await pane.locator('.action-label[aria-label^="Add Expression"]').first().click();
  const box = pane.locator("input").first();
  await box.waitFor();
  await box.fill(expression);
  await workbench.page.keyboard.press("Enter");
  await box.waitFor({ state: "hidden" });
}
