// Heap snapshots of debug sessions: when asked, at an interval, when the program stops.
import * as vscode from "vscode";
import { WorkDoneProgress, type LanguageClient } from "vscode-languageclient/node";
import { describedFor, type DebugSessions } from "./debugSessions";
import { CaptureRequest, type CaptureParams, type Captured } from "./protocol";
import type { Server } from "./server";

/** The object that is asked about. */
export type ObjectAsked = NonNullable<CaptureParams["object"]>;

export class Snapshots implements vscode.Disposable {
  readonly #server: Server;
  readonly #sessions: DebugSessions;
  readonly #disposables: { dispose(): unknown }[] = [];
  readonly #status = vscode.window.createStatusBarItem("heldby.snapshot", vscode.StatusBarAlignment.Left, 0);
  /** Those that stopped while a snapshot was being taken: theirs comes after it. */
  readonly #stopped = new Set<vscode.DebugSession>();
  #timer: NodeJS.Timeout | undefined;
  /** Snapshots that are being taken. */
  #taking = 0;
  #tokens = 0;

  constructor(server: Server, sessions: DebugSessions) {
    this.#server = server;
    this.#sessions = sessions;
    this.#status.name = "heldby: heap snapshot";
    this.#status.text = "$(device-camera) Heap Snapshot";
    this.#status.tooltip = "Take a heap snapshot of the program that is being debugged";
    this.#status.command = "heldby.takeSnapshot";
    this.#disposables.push(
      this.#status,
      sessions.onDidChange(() => {
        this.#sessionsChanged();
      }),
      sessions.onDidStop((session) => {
        if (settings().get<boolean>("onStop", false)) {
          this.#stopped.add(session);
          void this.#takeOfStopped();
        }
      }),
      vscode.workspace.onDidChangeConfiguration((change) => {
        if (change.affectsConfiguration("heldby.snapshots")) {
          this.#sessionsChanged();
        }
      }),
    );
    this.#sessionsChanged();
  }

  dispose(): void {
    clearInterval(this.#timer);
    for (const disposable of this.#disposables) {
      disposable.dispose();
    }
  }

  /** Takes a snapshot because the user asked for it, and says what went wrong. */
  async take(): Promise<void> {
    const active = vscode.debug.activeDebugSession;
    if (active !== undefined && !this.#sessions.has(active)) {
      await this.#explain(`A heap snapshot can be taken of Python programs; “${active.name}” is a debug session of type ${active.type}.`);
      return;
    }
    const sessions = settings().get<string>("processes", "all") === "active" && active !== undefined ? [active] : this.#sessions.ofActiveProgram;
    if (sessions.length === 0) {
      await this.#explain("No Python program is being debugged. Start or attach a debug session, then take the snapshot.", "Start Debugging");
      return;
    }
    if (this.#taking > 0) {
      await vscode.window.showInformationMessage("A heap snapshot is being taken already.");
      return;
    }
    await this.capture(sessions);
  }

  /** Takes a snapshot with its progress and a way to cancel; `undefined` when there is none. */
  async capture(sessions: readonly vscode.DebugSession[], object?: ObjectAsked): Promise<Captured | undefined> {
    this.#taking += 1;
    try {
      const options = { location: vscode.ProgressLocation.Notification, title: "Heap snapshot", cancellable: true };
      const captured = await vscode.window.withProgress(options, async (progress, cancel) => {
        const client = await this.#server.client();
        return await this.#ask(client, sessions, object, cancel, (message) => {
          progress.report({ message });
        });
      });
      for (const problem of captured.problems) {
        void this.#tell(`No heap snapshot of “${problem.session}”: ${problem.message}.`);
      }
      return captured;
    } catch (error) {
      if (!isCancellation(error)) {
        void this.#tell(`No heap snapshot: ${messageOf(error)}`);
      }
      return undefined;
    } finally {
      this.#taken();
    }
  }

  async #ask(
    client: LanguageClient,
    sessions: readonly vscode.DebugSession[],
    object: ObjectAsked | undefined,
    cancel: vscode.CancellationToken,
    tell: (message: string) => void,
  ): Promise<Captured> {
    this.#tokens += 1;
    const workDoneToken = `heldby-snapshot-${this.#tokens}`;
    const listening = client.onProgress(WorkDoneProgress.type, workDoneToken, (step) => {
      if (step.kind === "report" && step.message !== undefined) {
        tell(step.message);
      }
    });
    try {
      const params: CaptureParams = {
        sessions: sessions.map((session) => describedFor(client, session)),
        ...(object === undefined ? {} : { object }),
        alwaysTransfer: settings().get<boolean>("alwaysTransfer", false),
        timeoutSeconds: settings().get<number>("timeout", 60),
        workDoneToken,
      };
      return await client.sendRequest(CaptureRequest, params, cancel);
    } finally {
      listening.dispose();
    }
  }

  #taken(): void {
    this.#taking -= 1;
    void this.#takeOfStopped();
  }

  async #takeOfStopped(): Promise<void> {
    if (this.#taking === 0) {
      const stopped = [...this.#stopped].filter((session) => this.#sessions.has(session));
      this.#stopped.clear();
      await this.#takeUnasked(stopped);
    }
  }

  /** At an interval or at a stop: without a word but in the log. */
  async #takeUnasked(sessions: readonly vscode.DebugSession[]): Promise<void> {
    if (this.#taking > 0 || sessions.length === 0) {
      return;
    }
    this.#taking += 1;
    const never = new vscode.CancellationTokenSource();
    try {
      const client = await this.#server.client();
      const ignore = (): void => undefined;
      const captured = await this.#ask(client, sessions, undefined, never.token, ignore);
      for (const problem of captured.problems) {
        this.#server.log.warn(`no snapshot of ${problem.session}: ${problem.message}`);
      }
    } catch (error) {
      this.#server.log.warn(`no snapshot: ${messageOf(error)}`);
    } finally {
      never.dispose();
      this.#taken();
    }
  }

  #sessionsChanged(): void {
    clearInterval(this.#timer);
    const isDebugging = this.#sessions.all.length > 0;
    if (isDebugging) {
      this.#status.show();
    } else {
      this.#status.hide();
    }
    const seconds = settings().get<number>("every", 0);
    if (isDebugging && seconds > 0) {
      this.#timer = setInterval(() => void this.#takeUnasked(this.#sessions.ofActiveProgram), seconds * 1000);
    }
  }

  async #explain(message: string, ...choices: string[]): Promise<void> {
    const choice = await vscode.window.showWarningMessage(message, ...choices, "Open Dump…");
    if (choice === "Start Debugging") {
      await vscode.commands.executeCommand("workbench.action.debug.start");
    } else if (choice === "Open Dump…") {
      await vscode.commands.executeCommand("heldby.openDump");
    }
  }

  async #tell(message: string): Promise<void> {
    if ((await vscode.window.showErrorMessage(message, "Show Log")) === "Show Log") {
      this.#server.log.show(true);
    }
  }
}

function settings(): vscode.WorkspaceConfiguration {
  return vscode.workspace.getConfiguration("heldby.snapshots");
}

export function isCancellation(error: unknown): boolean {
  // The protocol's numbers of a request that was cancelled, by the client and by the server.
  const code = (error as { code?: unknown } | undefined)?.code;
  return error instanceof vscode.CancellationError || code === -32800 || code === -32802;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
