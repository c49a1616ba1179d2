// What is in the folder that a test opens: launch configurations, programs, and the dumps that come to lie there.

import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";

const programs = path.join(import.meta.dirname, "programs");

/** A folder with some of `programs`, that can be debugged. */
export function createWorkspace(folder, files, configurations) {
  mkdirSync(folder, { recursive: true });
  for (const file of files) {
    copyFileSync(path.join(programs, file), path.join(folder, file));
  }
  writeLaunchConfigurations(folder, configurations);
  return folder;
}

export function writeLaunchConfigurations(folder, configurations) {
  const all = configurations.map((configuration) => ({ type: "debugpy", console: "internalConsole", ...configuration }));
  mkdirSync(path.join(folder, ".vscode"), { recursive: true });
  writeFileSync(
    path.join(folder, ".vscode", "launch.json"),
    JSON.stringify({ version: "0.2.0", configurations: all }, undefined, 2),
  );
}

/** The settings of the folder, from now on. */
export function writeSettings(folder, settings) {
  writeFileSync(path.join(folder, ".vscode", "settings.json"), JSON.stringify(settings, undefined, 2));
}

/** The whole dumps under `.heldby`, in the order of their names: that of time, for each process. */
export function dumps(folder) {
  const place = path.join(folder, ".heldby");
  if (!existsSync(place)) {
    return [];
  }
  return readdirSync(place, { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile() && file.name.endsWith(".heldby"))
    .map((file) => path.join(file.parentPath, file.name))
    .sort();
}

/** The number of the first line that has a text. */
export function lineWith(folder, file, text) {
  const lines = readFileSync(path.join(folder, file), "utf8").split("\n");
  const place = lines.findIndex((line) => line.includes(text));
  if (place < 0) {
    throw new Error(`no line of ${file} has “${text}”`);
  }
  return place + 1;
}
