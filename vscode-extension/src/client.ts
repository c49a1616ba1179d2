// The client of the language server. It is bundled by itself: VS Code's library for it is most of what the extension consists of, and is
// loaded when the server is first needed.
import type { LogOutputChannel } from "vscode";
import { CloseAction, ErrorAction, LanguageClient, RevealOutputChannelOn, State, WorkDoneProgress } from "vscode-languageclient/node";

export class Client extends LanguageClient {
  readonly #log: LogOutputChannel;
  /** The server that it runs. */
  readonly program: string;

  /** `ended` is called when the server has ended by itself, `changed` whenever it has begun or ended to run. */
  constructor(program: string, log: LogOutputChannel, events: { readonly ended: () => void; readonly changed: () => void }) {
    super(
      "heldby",
      "heldby",
      { command: program, args: ["lsp"], options: { env: { ...process.env, RUST_LOG: process.env.RUST_LOG ?? "info" } } },
      {
        documentSelector: [{ scheme: "file", language: "python" }],
        outputChannel: log,
        revealOutputChannelOn: RevealOutputChannelOn.Never,
        initializationOptions: {
          virtualDocuments: true,
          shownNotifications: true,
          // They are run here, in views of the editor's own.
          clientCommands: ["heldby.showReferrers", "heldby.confirm"],
        },
        initializationFailedHandler: () => false,
        errorHandler: {
          error: () => ({ action: ErrorAction.Continue, handled: true }),
          // Whether it is started again is for `Server` to say, which makes a new client then.
          closed: () => ({ action: CloseAction.DoNotRestart, handled: true, message: "The language server has ended." }),
        },
        middleware: {
          window: {
            // The cursor comes to stand where the place begins; nothing is selected.
            showDocument: async (params, token, next) => {
              const { selection, ...more } = params;
              const at = selection?.start;
              return await next(at === undefined ? more : { ...more, selection: { start: at, end: at } }, token);
            },
          },
        },
      },
    );
    this.#log = log;
    this.program = program;
    this.onDidChangeState(({ oldState, newState }) => {
      if (oldState === State.Running && newState === State.Stopped) {
        events.ended();
      }
      events.changed();
    });
  }

  /** Hears of the progress of a request. */
  onWorkDone(token: string, tell: (message: string) => void): { dispose(): void } {
    return this.onProgress(WorkDoneProgress.type, token, (step) => {
      if (step.kind === "report" && step.message !== undefined) {
        tell(step.message);
      }
    });
  }

  /** Ends the server, or what there is of it: one that does not answer is killed after a moment. */
  async end(): Promise<void> {
    try {
      await this.dispose();
    } catch (error) {
      this.#log.warn(`the language server did not end in an orderly way: ${String(error)}`);
    }
  }

  /** Into the log only: what its user has to know, `Server` says in words of its own. */
  override error(message: string, data?: unknown): void {
    super.error(message, data, false);
  }
}
