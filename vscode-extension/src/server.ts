// The language server's life: started when it is first needed, started again after a crash and never without a word.
import * as path from "node:path";
import * as vscode from "vscode";
import {
  CloseAction,
  ErrorAction,
  LanguageClient,
  RevealOutputChannelOn,
  State,
  type CloseHandlerResult,
  type ErrorHandler,
} from "vscode-languageclient/node";

/** After more crashes within this time it is not started again. */
const MOST_CRASHES = 3;
const CRASHES_WITHIN_MILLISECONDS = 3 * 60 * 1000;

export class Server implements vscode.Disposable {
  readonly log = vscode.window.createOutputChannel("heldby", { log: true });
  readonly #extension: vscode.Uri;
  readonly #prepare: (client: LanguageClient) => void;
  #client: LanguageClient | undefined;
  #starting: Promise<LanguageClient> | undefined;

  /** `prepare` sees each client before it starts. */
  constructor(extension: vscode.Uri, prepare: (client: LanguageClient) => void) {
    this.#extension = extension;
    this.#prepare = prepare;
  }

  /** The client if the server runs. */
  get running(): LanguageClient | undefined {
    return this.#client?.state === State.Running ? this.#client : undefined;
  }

  /** The client of a running server; starts it if need be. */
  async client(): Promise<LanguageClient> {
    this.#starting ??= this.#start();
    try {
      return await this.#starting;
    } catch (error) {
      this.#starting = undefined;
      throw error;
    }
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.client();
  }

  async stop(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    this.#starting = undefined;
    if (client?.needsStop() === true) {
      await client.stop();
    }
    await client?.dispose();
  }

  dispose(): void {
    void this.stop().finally(() => {
      this.log.dispose();
    });
  }

  async #start(): Promise<LanguageClient> {
    const client = new LanguageClient(
      "heldby",
      "heldby",
      { command: this.#program(), args: ["lsp"], options: { env: { ...process.env, RUST_LOG: process.env.RUST_LOG ?? "info" } } },
      {
        documentSelector: [{ scheme: "file", language: "python" }],
        outputChannel: this.log,
        revealOutputChannelOn: RevealOutputChannelOn.Never,
        initializationOptions: {
          virtualDocuments: true,
          shownNotifications: true,
          // They are run here, in views of the editor's own.
          clientCommands: ["heldby.showReferrers", "heldby.confirm"],
        },
        initializationFailedHandler: () => false,
        errorHandler: new CrashHandler(() => {
          void this.restart();
        }),
      },
    );
    this.#client = client;
    this.#prepare(client);
    await client.start();
    return client;
  }

  #program(): string {
    const configured = vscode.workspace.getConfiguration("heldby").get<string>("path", "");
    if (configured !== "") {
      return configured;
    }
    const name = process.platform === "win32" ? "heldby.exe" : "heldby";
    return path.join(this.#extension.fsPath, "server", name);
  }
}

/** Says that the server crashed, and starts it again unless it crashes all the time. */
class CrashHandler implements ErrorHandler {
  readonly #restart: () => void;
  #crashes: number[] = [];

  constructor(restart: () => void) {
    this.#restart = restart;
  }

  error(): { action: ErrorAction; handled: boolean } {
    return { action: ErrorAction.Continue, handled: true };
  }

  closed(): CloseHandlerResult {
    const now = Date.now();
    this.#crashes = [...this.#crashes.filter((at) => now - at < CRASHES_WITHIN_MILLISECONDS), now];
    if (this.#crashes.length <= MOST_CRASHES) {
      void this.#tell("heldby's language server ended unexpectedly and was started again. Its dumps are loaded anew.");
      return { action: CloseAction.Restart, handled: true };
    }
    this.#crashes = [];
    void this.#tell("heldby's language server ended unexpectedly several times and is not started again by itself.", "Restart Server");
    return { action: CloseAction.DoNotRestart, handled: true };
  }

  async #tell(message: string, ...more: string[]): Promise<void> {
    const choice = await vscode.window.showErrorMessage(message, ...more, "Show Log");
    if (choice === "Show Log") {
      await vscode.commands.executeCommand("heldby.showLog");
    } else if (choice !== undefined) {
      this.#restart();
    }
  }
}
