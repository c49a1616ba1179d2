// Checks recordings of proxy.py with the TypeScript compiler: each payload of the server as a literal of the protocol's own type.
//
//     NODE_MODULES=…/node_modules node check_typescript.mjs [--faulty] LOG…
//
// The types are those of vscode-languageserver-protocol. A literal may have no member that its type does not know. With --faulty each
// recording has a fault: it fails when the compiler finds one of them without.
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";

const modules = path.resolve(process.env.NODE_MODULES ?? "node_modules");
const require = createRequire(path.join(modules, "check.cjs"));
const ts = require("typescript");
const protocol = require("vscode-languageserver-protocol");

const HEAD = `import * as p from "vscode-languageserver-protocol";
type Parameters<T> =
  T extends { readonly type: p.ProtocolRequestType<infer P, any, any, any, any> } ? P :
  T extends { readonly type: p.ProtocolNotificationType<infer P, any> } ? P : undefined;
type OrNull<R> = 0 extends 1 & R ? R : [R] extends [void] ? null : R;
type Result<T> =
  T extends { readonly type: p.ProtocolRequestType<any, infer R, any, any, any> } ? OrNull<R> :
  T extends { readonly type: p.ProtocolRequestType0<infer R, any, any, any> } ? OrNull<R> : never;
`;

/** The name under which the package exports each method. */
const names = new Map();
for (const [name, value] of Object.entries(protocol)) {
  if (value?.method && value.type) {
    names.set(value.method, name);
  }
}

/** One TypeScript file of a recording, and what each of its lines is. */
function sourceOf(log) {
  const asked = new Map();
  const lines = HEAD.split("\n");
  const told = new Map();
  let count = 0;
  const add = (type, payload, what) => {
    told.set(lines.length, what);
    lines.push(`export const payload${count++}: ${type} = ${JSON.stringify(payload)};`);
  };
  fs.readFileSync(log, "utf8").split("\n").filter(Boolean).forEach((line, index) => {
    const { from, message } = JSON.parse(line);
    if (message?.method && from === "client" && message.id !== undefined) {
      asked.set(JSON.stringify(message.id), message.method);
    }
    if (!message || from !== "server") {
      return;
    }
    const method = message.method ?? asked.get(JSON.stringify(message.id));
    const name = names.get(method);
    const what = `${path.basename(log)}:${index + 1} ${method}`;
    if (name && message.method && message.params !== undefined) {
      add(`Parameters<typeof p.${name}>`, message.params, what);
    } else if (name && !message.method && message.result !== undefined) {
      add(`Result<typeof p.${name}>`, message.result, `${what}, result`);
    }
  });
  return { text: lines.join("\n"), told, count };
}

const faulty = process.argv.includes("--faulty");
const logs = process.argv.slice(2).filter((word) => word !== "--faulty");
// Beside the modules, so that the import is found.
const folder = fs.mkdtempSync(path.join(path.dirname(modules), "check-"));
process.on("exit", () => fs.rmSync(folder, { recursive: true, force: true }));
const sources = new Map();
for (const log of logs) {
  const file = path.join(folder, `${path.basename(log, ".jsonl").replace(/[^\w]/g, "_")}.ts`);
  const source = sourceOf(log);
  fs.writeFileSync(file, source.text);
  sources.set(file, source);
}
const program = ts.createProgram([...sources.keys()], {
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  types: [],
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  target: ts.ScriptTarget.ES2022,
});
const faults = new Map(logs.map((_, at) => [[...sources.keys()][at], []]));
for (const diagnostic of ts.getPreEmitDiagnostics(program)) {
  const words = ts.flattenDiagnosticMessageText(diagnostic.messageText, " ").slice(0, 240);
  const file = diagnostic.file?.fileName;
  const line = file ? diagnostic.file.getLineAndCharacterOfPosition(diagnostic.start).line : -1;
  const what = sources.get(file)?.told.get(line);
  if (!what) {
    console.log(`the checker itself is wrong: ${file}:${line + 1} ${words}`);
    process.exit(1);
  }
  faults.get(file).push(`${what}: ${words}`);
}
let failed = logs.length === 0;
let payloads = 0;
for (const [file, found] of faults) {
  payloads += sources.get(file).count;
  if (faulty ? found.length === 0 : found.length > 0) {
    failed = true;
    console.log(faulty ? `not caught: ${path.basename(file, ".ts").replaceAll("_", " ")}` : found.slice(0, 10).join("\n"));
  }
}
const caught = [...faults.values()].filter((found) => found.length > 0).length;
console.log(faulty ? `${caught} of ${logs.length} kinds of faults caught` : `${payloads} payloads, ${caught} recordings with faults`);
process.exit(failed ? 1 : 0);
