// Heap snapshots of debug sessions: when asked, at an interval, when the program stops.
import * as vscode from "vscode";
import { described, isOfPython, type DebugSessions } from "./debugSessions";
import { fail, inform, isCancellation, messageOf, warn } from "./messages";
import { CaptureRequest, type CaptureParams, type Captured } from "./protocol";
import type { Server } from "./server";
import { asking, secondsOf, snapshotSettings } from "./settings";

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
  /** What the timer was set to; 0 without one. */
  #every = 0;
  #isFailureTold = false;
  /** Snapshots that are being taken or wait for their turn. */
  #taking = 0;
  /** Settled when the last of them is done. */
  #last: Promise<unknown> = Promise.resolve();
  /** One that the user asked for waits for its turn. */
  #isAskedFor = false;
  #tokens = 0;

  constructor(server: Server, sessions: DebugSessions) {
    this.#server = server;
    this.#sessions = sessions;
    this.#status.name = "heldby: heap snapshot";
    this.#status.text = "$(device-camera) Heap Snapshot";
    this.#status.command = "heldby.takeSnapshot";
    this.#disposables.push(
      this.#status,
      sessions.onDidChange(() => {
        this.#update();
      }),
      vscode.debug.onDidChangeActiveDebugSession(() => {
        this.#update();
      }),
      sessions.onDidStop((session) => {
        if (snapshotSettings().get<boolean>("onStop", false)) {
          this.#stopped.add(session);
          void this.#takeOfStopped();
        }
      }),
      vscode.workspace.onDidChangeConfiguration((change) => {
        if (change.affectsConfiguration("heldby.snapshots")) {
          this.#update();
        }
      }),
    );
    this.#update();
  }

  dispose(): void {
    clearInterval(this.#timer);
    for (const disposable of this.#disposables) {
      disposable.dispose();
    }
  }

  /** Takes a snapshot because the user asked for it, and says what went wrong. */
  async take(): Promise<void> {
    const sessions = this.#wanted();
    if (sessions.length === 0) {
      this.#explain();
      return;
    }
    if (this.#isAskedFor) {
      inform("A heap snapshot waits for the one that is being taken.");
      return;
    }
    this.#isAskedFor = this.#taking > 0;
    await this.#capture("Heap snapshot", "No heap snapshot", sessions);
  }

  /** The sessions that a snapshot is taken of. */
  #wanted(): readonly vscode.DebugSession[] {
    const { active } = this.#sessions;
    const onlyActive = snapshotSettings().get<string>("processes", "all") === "active" && active !== undefined;
    return onlyActive ? [active] : this.#sessions.ofActiveProgram;
  }

  /** Takes a snapshot to find an object in it; `undefined` when there is none. */
  async captureObject(session: vscode.DebugSession, object: ObjectAsked): Promise<string | undefined> {
    const asked = `Who holds “${object.expression}”?`;
    const captured = await this.#capture(asked, asked, [session], object);
    return captured?.object;
  }

  /** With its progress, a way to cancel, and a word for what went wrong. */
  async #capture(title: string, failed: string, sessions: readonly vscode.DebugSession[], object?: ObjectAsked): Promise<Captured | undefined> {
    const options = { location: vscode.ProgressLocation.Notification, title, cancellable: true };
    const showLog = {
      "Show Log": () => {
        this.#server.log.show(true);
      },
    };
    try {
      const captured = await vscode.window.withProgress(options, (progress, cancel) =>
        this.#inTurn(() => {
          this.#isAskedFor = false;
          return this.#ask(sessions, object, cancel, (message) => {
            progress.report({ message });
          });
        }),
      );
      if (captured.problems.length > 0) {
        fail(object === undefined ? problemsOf(captured) : answerOf(failed, captured), showLog);
      }
      return captured;
    } catch (error) {
      this.#isAskedFor = false;
      if (!isCancellation(error)) {
        fail(`${failed}${failed.endsWith("?") ? "" : ":"} ${messageOf(error)}`, showLog);
      }
      return undefined;
    }
  }

  /** One after the other: a program that is asked twice at once is not done sooner. */
  async #inTurn<Result>(take: () => Promise<Result>): Promise<Result> {
    this.#taking += 1;
    const taken = this.#last.then(take);
    this.#last = taken.catch(() => undefined);
    try {
      return await taken;
    } finally {
      this.#taking -= 1;
      void this.#takeOfStopped();
    }
  }

  async #ask(
    sessions: readonly vscode.DebugSession[],
    object: ObjectAsked | undefined,
    cancel: vscode.CancellationToken | undefined,
    tell: (message: string) => void,
  ): Promise<Captured> {
    if (cancel?.isCancellationRequested === true) {
      throw new vscode.CancellationError();
    }
    this.#tokens += 1;
    const workDoneToken = `heldby-snapshot-${this.#tokens}`;
    const client = await this.#server.client();
    const listening = client.onWorkDone(workDoneToken, tell);
    try {
      const params = { sessions: sessions.map(described), ...(object === undefined ? {} : { object }), ...asking(), workDoneToken };
      return await this.#server.ask(CaptureRequest, params, cancel);
    } finally {
      listening.dispose();
    }
  }

  async #takeOfStopped(): Promise<void> {
    if (this.#taking === 0) {
      const stopped = [...this.#stopped].filter((session) => this.#sessions.has(session));
      this.#stopped.clear();
      await this.#takeUnasked(stopped);
    }
  }

  /** At an interval or at a stop: of what goes wrong the first is told, the others are in the log. */
  async #takeUnasked(sessions: readonly vscode.DebugSession[]): Promise<void> {
    if (this.#taking > 0 || sessions.length === 0) {
      return;
    }
    try {
      const captured = await this.#inTurn(() => this.#ask(sessions, undefined, undefined, () => undefined));
      if (captured.problems.length > 0) {
        this.#note(problemsOf(captured), sessions);
      }
    } catch (error) {
      this.#note(`No heap snapshot: ${messageOf(error)}`, sessions);
    }
  }

  #note(message: string, sessions: readonly vscode.DebugSession[]): void {
    this.#server.log.warn(message);
    // A program that has ended meanwhile is no failure.
    if (!this.#isFailureTold && sessions.some((session) => this.#sessions.has(session))) {
      this.#isFailureTold = true;
      warn(`${message} Should it happen again while the program is debugged, only the log will tell.`, {
        "Show Log": () => {
          this.#server.log.show(true);
        },
      });
    }
  }

  /** The status bar and the timer follow the sessions and the settings. A timer that is right runs on: processes may come and go faster than it. */
  #update(): void {
    const isDebugging = this.#sessions.all.length > 0;
    if (isDebugging) {
      const count = this.#wanted().length;
      const what = count === 1 ? "program that is" : `${count} processes that are`;
      this.#status.tooltip = `Take a heap snapshot of the ${what} being debugged`;
      this.#status.show();
    } else {
      this.#status.hide();
      this.#isFailureTold = false;
    }
    const every = isDebugging ? secondsOf(snapshotSettings(), "every", 0) : 0;
    if (every === this.#every) {
      return;
    }
    this.#every = every;
    clearInterval(this.#timer);
    if (every > 0) {
      this.#timer = setInterval(() => void this.#takeUnasked(this.#wanted()), every * 1000);
    }
  }

  #explain(): void {
    const openDump = { "Open Dump…": () => vscode.commands.executeCommand("heldby.openDump") };
    const active = vscode.debug.activeDebugSession;
    if (active !== undefined && !isOfPython(active)) {
      warn(`A heap snapshot can be taken of Python programs; “${active.name}” is a debug session of type ${active.type}.`, openDump);
      return;
    }
    warn("No Python program is being debugged. Start or attach a debug session, then take the snapshot.", {
      "Start Debugging": () => vscode.commands.executeCommand("workbench.action.debug.start"),
      ...openDump,
    });
  }
}

/** In one message, what several processes have in common said once. */
function problemsOf({ problems }: Captured): string {
  const sessions = new Map<string, string[]>();
  for (const { session, message } of problems) {
    sessions.set(message, [...(sessions.get(message) ?? []), `“${session}”`]);
  }
  return [...sessions].map(([message, names]) => `No heap snapshot of ${names.join(", ")}: ${message}.`).join(" ");
}

function answerOf(asked: string, { problems }: Captured): string {
  const sentences = problems.map(({ message }) => `${message.charAt(0).toUpperCase()}${message.slice(1)}.`);
  return [asked, ...sentences].join(" ");
}
