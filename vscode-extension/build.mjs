// Bundles the extension: what it is made of need not be installed with it. The client of the language server is a file of its own, which is
// read when the server is first needed.
import { build } from "esbuild";

await build({
  entryPoints: ["src/extension.ts", "src/client.ts"],
  outdir: "dist",
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20",
  external: ["vscode", "./client.js"],
  // As `require`: VS Code answers that when it asks for "vscode".
  supported: { "dynamic-import": false },
  minify: true,
  legalComments: "none",
  logLevel: "warning",
});
