// The demo project as a user has it on the disk: a copy with a database, a launch configuration, and people who upload images.

import { execFile } from "node:child_process";
import { cpSync, mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";

import { freePort } from "./server.mjs";
import { answers, until } from "./waiting.mjs";
import { writeLaunchConfigurations } from "./workspace.mjs";

const run = promisify(execFile);
const demo = path.join(import.meta.dirname, "..", "demo");

/** Where the demo leaks, as its own test has it. */
export const truth = JSON.parse(readFileSync(path.join(demo, "truth.json"), "utf8"));

export class Gallery {
  static async create(folder) {
    cpSync(path.join(demo, "gallery"), folder, {
      recursive: true,
      filter: (file) => !["__pycache__", "var"].includes(path.basename(file)),
    });
    mkdirSync(path.join(folder, "var"));
    await run(process.env.PYTHON, ["manage.py", "migrate", "--verbosity", "0"], { cwd: folder });
    const gallery = new Gallery(folder, await freePort());
    writeLaunchConfigurations(folder, [
      {
        name: "Gallery",
        request: "launch",
        program: "${workspaceFolder}/manage.py",
        args: ["runserver", "--noreload", String(gallery.port)],
        django: true,
      },
    ]);
    return gallery;
  }

  constructor(folder, port) {
    this.folder = folder;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
  }

  answers() {
    return until("the gallery answers", () => answers(this.url), { every: 300 });
  }

  /** As a browser would. */
  async upload(count) {
    await run(process.env.PYTHON, [path.join(demo, "upload.py"), this.url, String(count)]);
  }
}
