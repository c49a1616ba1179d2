// VS Code's server: the part of VS Code that has the extensions, the files and the debug sessions. The browser has the rest.

import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { answers, Hopeless, until } from "./waiting.mjs";

/** Nothing that greets, updates, recommends or reports: a test sees what heldby shows. */
const QUIET = {
  "chat.disableAIFeatures": true,
  "debug.internalConsoleOptions": "neverOpen",
  "debug.openDebug": "neverOpen",
  "debug.onTaskErrors": "debugAnyway",
  "editor.hover.delay": 100,
  "editor.minimap.enabled": false,
  "extensions.autoCheckUpdates": false,
  "extensions.autoUpdate": false,
  "extensions.ignoreRecommendations": true,
  "files.hotExit": "off",
  "git.enabled": false,
  "remote.autoForwardPorts": false,
  "telemetry.telemetryLevel": "off",
  "update.mode": "none",
  "window.commandCenter": false,
  "workbench.enableExperiments": false,
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "workbench.startupEditor": "none",
  "workbench.tips.enabled": false,
};

/** What a server that was told to end is given before it is killed. */
const ENDS_WITHIN_MS = 5000;

/** A port that was free a moment ago. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const listener = createServer().on("error", reject);
    listener.listen(0, "127.0.0.1", () => {
      const { port } = listener.address();
      listener.close(() => resolve(port));
    });
  });
}

/**
 * Starts the server of the version that the environment names.
 *
 * @param folder what the server writes goes here
 * @param trustAll whether each workspace is trusted, without asking
 * @param runsTests whether pages may bring tests with them that run inside the extension host; there are no messages on the screen then
 */
export async function startServer({ folder, settings = {}, trustAll = true, runsTests = false }) {
  const user = path.join(folder, "user", "User");
  mkdirSync(user, { recursive: true });
  const all = { ...QUIET, "debugpyShim.python": process.env.PYTHON, ...settings };
  writeFileSync(path.join(user, "settings.json"), JSON.stringify(all, undefined, 2));
  const port = await freePort();
  const log = path.join(folder, "server.log");
  const heldbyLog = path.join(folder, "heldby.log");
  const output = openSync(log, "w");
  const words = [process.env.VSCODE_SERVER, "--host", "127.0.0.1", "--port", String(port)];
  words.push("--without-connection-token", "--accept-server-license-terms", "--disable-telemetry");
  words.push("--server-data-dir", path.join(folder, "server"), "--user-data-dir", path.join(folder, "user"));
  words.push("--extensions-dir", process.env.VSCODE_EXTENSIONS);
  if (runsTests) {
    words.push("--enable-smoke-test-driver");
  }
  if (trustAll) {
    words.push("--disable-workspace-trust");
  }
  // A process group of its own: the debug adapters and language servers end with it.
  const server = spawn(process.execPath, words, {
    stdio: ["ignore", output, output],
    detached: true,
    env: { ...process.env, HELDBY_LOG: heldbyLog },
  });
  closeSync(output);
  let ended = false;
  const gone = new Promise((resolve) => server.once("exit", () => resolve((ended = true))));
  const signal = (name) => {
    try {
      process.kill(-server.pid, name);
    } catch {
      // It has ended on its own.
    }
  };
  const stop = async () => {
    signal("SIGTERM");
    await Promise.race([gone, sleep(ENDS_WITHIN_MS, undefined, { ref: false })]);
    // Whatever has not heard it, of the server or of what it started.
    signal("SIGKILL");
    await gone;
  };
  process.once("exit", () => signal("SIGKILL"));
  const address = `http://127.0.0.1:${port}`;
  await until("VS Code's server answers", async () => {
    if (ended) {
      throw new Hopeless(`it ended:\n${readFileSync(log, "utf8")}`);
    }
    return answers(`${address}/version`);
  });
  const heldbySaid = () => (existsSync(heldbyLog) ? `the end of ${heldbyLog}:\n${endOf(heldbyLog, 4000)}` : "heldby's server has said nothing");
  return { address, port, stop, said: () => `the end of ${log}:\n${endOf(log)}`, heldbySaid };
}

function endOf(file, characters = 1500) {
  return readFileSync(file, "utf8").slice(-characters);
}
