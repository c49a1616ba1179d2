// debugpy as a debug type, so that tests can click what users of the Python extension click. That extension is not to be had from
// the registries that the tests install from; its debug adapter, debugpy itself, is.

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

exports.activate = (context) => {
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
