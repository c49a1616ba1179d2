// What a user does not see but relies on, through VS Code's own interface: when the extension starts, and that a snapshot
// leaves the program, the debugger and the editor as they are.

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const vscode = require("vscode");

const STUCK_AFTER_MS = 60_000;
const STORE = "done.append(Job(number))";

const say = (line) => console.log(`suite: ${line}`);
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const [folder] = vscode.workspace.workspaceFolders;
const worker = vscode.Uri.joinPath(folder.uri, "worker.py");

async function until(what, condition) {
  const began = Date.now();
  while (Date.now() - began < STUCK_AFTER_MS) {
    const value = await condition();
    if (value) {
      return value;
    }
    await sleep(50);
  }
  throw new Error(`waited in vain until ${what}`);
}

const extension = () => vscode.extensions.getExtension("heldby.heldby");
const warnings = () =>
  vscode.languages
    .getDiagnostics(worker)
    .filter(({ source, severity }) => source === "heldby" && severity === vscode.DiagnosticSeverity.Warning);

function dumps() {
  const place = path.join(folder.uri.fsPath, ".heldby");
  return fs.existsSync(place) ? fs.readdirSync(place).filter((name) => name.endsWith(".heldby")) : [];
}

/** What debuggers say and are told, as long as something is done. */
async function overheard(work) {
  const said = [];
  const tracker = vscode.debug.registerDebugAdapterTrackerFactory("*", {
    createDebugAdapterTracker: () => ({ onDidSendMessage: (message) => said.push(message) }),
  });
  try {
    return { result: await work(said), said };
  } finally {
    tracker.dispose();
  }
}

/** The next session that something is told of. */
function sessionThat(tells) {
  return new Promise((resolve) => {
    const listening = tells((session) => {
      listening.dispose();
      resolve(session);
    });
  });
}

const tests = {
  "the extension sleeps until it is needed": async () => {
    assert.ok(extension(), "it is installed");
    await vscode.window.showTextDocument(await vscode.workspace.openTextDocument(worker));
    await sleep(1000);
    assert.equal(extension().isActive, false, "a Python file alone does not start it");
  },

  "its settings are described and have defaults": () => {
    const { properties } = extension().packageJSON.contributes.configuration;
    for (const [name, setting] of Object.entries(properties)) {
      const words = setting.description ?? setting.markdownDescription ?? "";
      assert.ok(words.endsWith(".") || words.includes(". "), `${name} is described by a sentence: ${words}`);
      assert.deepEqual(vscode.workspace.getConfiguration().get(name), setting.default, name);
    }
  },

  "three snapshots of a running program give a warning, and nothing else happens": async () => {
    const began = sessionThat(vscode.debug.onDidStartDebugSession);
    const breakpoint = new vscode.SourceBreakpoint(new vscode.Location(worker, new vscode.Position(6, 0)), false);
    vscode.debug.addBreakpoints([breakpoint]);
    const breakpoints = () => JSON.stringify(vscode.debug.breakpoints.map(({ id, enabled, location }) => [id, enabled, location?.range]));
    const { said } = await overheard(async (said) => {
      assert.ok(await vscode.debug.startDebugging(folder, "Worker"));
      await began;
      await until("the program runs", () => said.some(({ event }) => event === "process"));
      await until("the extension is active", () => extension().isActive);
      await sleep(1000);
      const before = said.length;
      const editor = vscode.window.activeTextEditor?.document.uri.toString();
      const marked = breakpoints();
      for (const number of [1, 2, 3]) {
        await vscode.commands.executeCommand("heldby.takeSnapshot");
        assert.equal(dumps().length, number, "the command ends when the dump is there");
        await sleep(100);
      }
      await Promise.all([1, 2].map(() => vscode.commands.executeCommand("heldby.takeSnapshot")));
      assert.equal(dumps().length, 5, "one that is asked for during another comes after it");
      await until("there is a warning", () => warnings().length > 0);
      assert.equal(vscode.window.activeTextEditor?.document.uri.toString(), editor, "the editor is the same");
      assert.equal(breakpoints(), marked, "the breakpoints are the same");
      for (const message of said.slice(before).filter(({ type }) => type === "event")) {
        assert.ok(!["stopped", "continued", "output", "breakpoint"].includes(message.event), JSON.stringify(message));
      }
    });
    assert.ok(said.length > 0);
    vscode.debug.removeBreakpoints(vscode.debug.breakpoints);
    const [warning] = warnings();
    assert.equal(warnings().length, 1);
    assert.equal((await vscode.workspace.openTextDocument(worker)).getText(warning.range), STORE);
    assert.ok(fs.existsSync(path.join(folder.uri.fsPath, ".heldby", ".gitignore")), "git ignores the dumps");
  },

  "the warning has a hover, a way to the holder and to the referrers": async () => {
    const [{ range }] = warnings();
    const hovers = await vscode.commands.executeCommand("vscode.executeHoverProvider", worker, range.start);
    const text = hovers.flatMap(({ contents }) => contents.map(({ value }) => value)).join("\n");
    assert.match(text, /Job/);
    const fixes = await vscode.commands.executeCommand("vscode.executeCodeActionProvider", worker, range);
    const titles = fixes.map(({ title }) => title);
    for (const title of [/^Go to holder/, /^Show referrers/, /^Ignore/]) {
      assert.ok(titles.some((offered) => title.test(offered)), `${title} in ${titles.join(", ")}`);
    }
    const { command } = fixes.find(({ title }) => title.startsWith("Go to holder"));
    await vscode.window.showTextDocument(worker);
    await vscode.commands.executeCommand(command.command, ...command.arguments);
    const definition = (await vscode.workspace.openTextDocument(worker)).getText().split("\n").indexOf("done = []");
    await until("the cursor is on the holder", () => vscode.window.activeTextEditor.selection.active.line === definition);
  },

  "its commands are there": async () => {
    const there = new Set(await vscode.commands.getCommands(true));
    for (const { command } of extension().packageJSON.contributes.commands) {
      assert.ok(there.has(command), command);
    }
    for (const name of ["takeSnapshot", "whoHolds", "openDump", "restartServer", "showLog"]) {
      assert.ok(there.has(`heldby.${name}`), name);
    }
  },

  "no stop is missed: not before the launch is answered, not during a snapshot": async () => {
    const { evaluated } = await vscode.extensions.getExtension("heldby-tests.tests-host").activate();
    const settings = () => vscode.workspace.getConfiguration("heldby.snapshots");
    await settings().update("onStop", true, vscode.ConfigurationTarget.Workspace);
    try {
      const session = sessionThat(vscode.debug.onDidStartDebugSession);
      // The launch is answered when something has been evaluated.
      const launched = vscode.debug.startDebugging(folder, { type: "python", name: "Stops at once", request: "launch" });
      await until("each stop has had its snapshot", () => evaluated.length >= 2);
      assert.ok(await launched);
      const ended = sessionThat(vscode.debug.onDidTerminateDebugSession);
      await vscode.debug.stopDebugging(await session);
      await ended;
      assert.equal(evaluated.length, 2);
    } finally {
      await settings().update("onStop", undefined, vscode.ConfigurationTarget.Workspace);
    }
  },

  "the server can be restarted, and has not forgotten": async () => {
    await vscode.commands.executeCommand("heldby.restartServer");
    await until("the warning is there again", () => warnings().length === 1);
  },

  "snapshots are taken at an interval, as long as the program is debugged": async () => {
    const settings = vscode.workspace.getConfiguration("heldby.snapshots");
    const before = dumps().length;
    await settings.update("every", 1, vscode.ConfigurationTarget.Workspace);
    await until("there are two dumps that nobody asked for", () => dumps().length >= before + 2);
    await vscode.debug.stopDebugging();
    await until("nothing is debugged", () => vscode.debug.activeDebugSession === undefined);
    // One that was begun may still come.
    await sleep(1000);
    const last = dumps().length;
    await sleep(2000);
    assert.equal(dumps().length, last);
    await settings.update("every", undefined, vscode.ConfigurationTarget.Workspace);
  },

  "a program that is started again is known": async () => {
    const before = dumps().length;
    await overheard(async (said) => {
      const runs = () => said.filter(({ event }) => event === "process").length;
      assert.ok(await vscode.debug.startDebugging(folder, "Worker"));
      await until("the program runs", () => runs() === 1);
      await vscode.commands.executeCommand("workbench.action.debug.restart");
      await until("it runs again", () => runs() === 2);
      await vscode.commands.executeCommand("heldby.takeSnapshot");
      assert.equal(dumps().length, before + 1);
      await vscode.debug.stopDebugging();
    });
  },
};

exports.run = async () => {
  let failed = 0;
  for (const [name, test] of Object.entries(tests)) {
    const began = Date.now();
    try {
      await test();
      say(`passed: ${name} (${Date.now() - began} ms)`);
    } catch (error) {
      failed += 1;
      say(`FAILED: ${name}: ${error.stack}`);
    }
  }
  await vscode.debug.stopDebugging();
  if (failed > 0) {
    throw new Error(`${failed} failed`);
  }
};
