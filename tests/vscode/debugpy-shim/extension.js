// debugpy as a debug type, so that tests can click what users of the Python extension click. That extension is not to be had from
// the registries that the tests install from; its debug adapter, debugpy itself, is.

const childProcess = require("node:child_process");
const { createWriteStream } = require("node:fs");
const vscode = require("vscode");

const python = () => vscode.workspace.getConfiguration("debugpyShim").get("python");

/** A program that listens for a debugger has its adapter with it; for all others one is started. */
function adapterOf({ configuration }) {
  const address = configuration.connect ?? configuration;
  if (configuration.request === "attach" && address.port !== undefined) {
    return new vscode.DebugAdapterServer(address.port, address.host);
  }
  return new vscode.DebugAdapterExecutable(python(), ["-m", "debugpy.adapter"]);
}

/** VS Code writes no logs here: the part that does is compiled, and not installed. What heldby's server says is kept for a test that fails. */
function keepLog(file) {
  const { spawn } = childProcess;
  childProcess.spawn = (...words) => {
    const child = spawn(...words);
    if (words[1]?.[0] === "lsp") {
      child.stderr?.pipe(createWriteStream(file, { flags: "a" }));
    }
    return child;
  };
}

exports.activate = (context) => {
  if (process.env.HELDBY_LOG !== undefined) {
    keepLog(process.env.HELDBY_LOG);
  }
  context.subscriptions.push(
    vscode.debug.registerDebugAdapterDescriptorFactory("debugpy", { createDebugAdapterDescriptor: adapterOf }),
    vscode.debug.registerDebugConfigurationProvider("debugpy", {
      resolveDebugConfiguration: (_folder, configuration) =>
        configuration.request === "launch" ? { python: python(), ...configuration } : configuration,
    }),
    // A process that the program started announces itself: debugpy says how to attach, whoever hosts it has to do it.
    vscode.debug.onDidReceiveDebugSessionCustomEvent(({ event, body, session }) => {
      if (event === "debugpyAttach") {
        vscode.debug.startDebugging(session.workspaceFolder, body, { parentSession: session, lifecycleManagedByParent: true });
      }
    }),
  );
};
