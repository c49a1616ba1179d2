// Figures, not tests: from the click to the diagnostics, how long the program stood still, how long the extension took to start.
// `cargo xtask bench --snapshots` runs this with the release server and prints what it says.

import { readFileSync } from "node:fs";
import path from "node:path";

import { Gallery } from "./gallery.mjs";
import { takeSnapshot, timeSnapshot } from "./snapshot.mjs";
import { until } from "./waiting.mjs";
import { workbenchTest } from "./workbench.mjs";
import { createWorkspace } from "./workspace.mjs";

const SNAPSHOTS = 5;

function say(figure, measured) {
  process.stderr.write(`figure: ${figure.padEnd(52)} ${measured}\n`);
}

function ofAll(milliseconds) {
  const sorted = milliseconds.toSorted((one, other) => one - other);
  return `median ${sorted[Math.floor(sorted.length / 2)]} ms, most ${sorted.at(-1)} ms`;
}

workbenchTest(
  "the demo server",
  async (home) => {
    const gallery = await Gallery.create(path.join(home, "gallery"));
    return { folder: gallery.folder, gallery };
  },
  async (workbench, { gallery }) => {
    await workbench.openFile("manage.py");
    await workbench.showDebugSidebar();
    await workbench.startDebugging("Gallery");
    await gallery.answers();
    const activation = await until("the extension is active", () => workbench.activation());
    await gallery.upload(24);
    // A visitor all the while: whoever comes during a snapshot waits until the program goes on.
    let isOpen = true;
    const waits = [];
    const visitor = (async () => {
      while (isOpen) {
        const began = performance.now();
        await fetch(gallery.url);
        waits.push(performance.now() - began);
      }
    })();
    await until("it is visited", () => waits.length > 20);
    const before = Math.max(...waits.slice(5));
    const clicks = [];
    for (let number = 0; number < SNAPSHOTS; number += 1) {
      clicks.push((await timeSnapshot(workbench, "toolbar")).milliseconds);
    }
    isOpen = false;
    await visitor;
    say("extension: activation, once a debug session began", `${activation} ms`);
    say("demo server: from the click to the diagnostics", ofAll(clicks));
    say("demo server: longest answer before, during snapshots", `${before.toFixed(0)} ms, ${Math.max(...waits.slice(5)).toFixed(0)} ms`);
    await workbench.stopDebugging();
  },
);

workbenchTest(
  "a million and a half objects",
  (home) => {
    const report = path.join(home, "report.txt");
    const launch = { name: "Large", request: "launch", program: "${workspaceFolder}/large.py", args: [report] };
    return { folder: createWorkspace(path.join(home, "large"), ["large.py"], [launch]), report };
  },
  async (workbench, { report }) => {
    const longest = () => Number(readFileSync(report, "utf8"));
    await workbench.openFile("large.py");
    await workbench.showDebugSidebar();
    await workbench.startDebugging("Large");
    await until("it runs", longest);
    await workbench.console();
    const before = longest();
    const clicks = [];
    for (let number = 0; number < SNAPSHOTS; number += 1) {
      clicks.push((await takeSnapshot(workbench, "toolbar")).milliseconds);
    }
    const told = longest();
    await until("it has told of the last snapshot", () => longest() >= told);
    say("1.5 million objects: from the click to the diagnostics", ofAll(clicks));
    say("1.5 million objects: stood still before, during snapshots", `${(before * 1000).toFixed(0)} ms, ${(longest() * 1000).toFixed(0)} ms`);
    await workbench.stopDebugging();
  },
);
