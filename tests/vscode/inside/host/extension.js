// Tests need an extension that they belong to, and a debugger whose program stops before its launch is answered, and again while it is
// asked something. debugpy does so now and then.

const vscode = require("vscode");

class StopsAtOnce {
  #said = new vscode.EventEmitter();
  #evaluated;
  #launch;

  onDidSendMessage = this.#said.event;

  constructor(evaluated) {
    this.#evaluated = evaluated;
  }

  handleMessage(request) {
    switch (request.command) {
      case "initialize":
        this.#answer(request, { body: { supportsConfigurationDoneRequest: true } });
        this.#event("initialized");
        break;
      case "launch":
        this.#launch = request;
        break;
      case "configurationDone":
        this.#answer(request);
        this.#stop();
        break;
      case "threads":
        this.#answer(request, { body: { threads: [{ id: 1, name: "MainThread" }] } });
        break;
      case "stackTrace":
        this.#answer(request, { body: { stackFrames: [], totalFrames: 0 } });
        break;
      case "evaluate":
        this.#evaluated.push(request.arguments.expression);
        if (this.#launch !== undefined) {
          this.#stop();
          this.#answer(this.#launch);
          this.#launch = undefined;
        }
        this.#answer(request, { success: false, message: "there is no program" });
        break;
      case "disconnect":
      case "terminate":
        this.#answer(request);
        this.#event("terminated");
        break;
      default:
        this.#answer(request);
    }
  }

  dispose() {}

  #stop() {
    this.#event("stopped", { reason: "breakpoint", threadId: 1, allThreadsStopped: true });
  }

  #event(event, body = {}) {
    this.#said.fire({ type: "event", seq: 0, event, body });
  }

  #answer({ seq, command }, more = {}) {
    this.#said.fire({ type: "response", seq: 0, request_seq: seq, command, success: true, body: {}, ...more });
  }
}

exports.activate = (context) => {
  /** What the debuggers were asked to evaluate. */
  const evaluated = [];
  context.subscriptions.push(
    vscode.debug.registerDebugAdapterDescriptorFactory("python", {
      createDebugAdapterDescriptor: () => new vscode.DebugAdapterInlineImplementation(new StopsAtOnce(evaluated)),
    }),
  );
  return { evaluated };
};
