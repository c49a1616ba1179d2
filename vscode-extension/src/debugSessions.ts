// The debug sessions of Python programs: which there are, and evaluation in them on the server's behalf.
import * as vscode from "vscode";
import { messageOf } from "./messages";
import type { DebugSessionParams, EvaluateParams, Evaluated, PathMapping } from "./protocol";

const TYPES: ReadonlySet<string> = new Set(["debugpy", "python"]);

/** The end of a connection is heard of before the end of its session, by less than this. */
const NEWS_WITHIN_MILLISECONDS = 500;

export class DebugSessions implements vscode.Disposable {
  readonly #sessions = new Map<string, vscode.DebugSession>();
  /** Those whose program has ended, as long as VS Code has them still. */
  readonly #gone = new Set<string>();
  readonly #changed = new vscode.EventEmitter<void>();
  readonly #stopped = new vscode.EventEmitter<vscode.DebugSession>();
  readonly #disposables: { dispose(): unknown }[] = [this.#changed, this.#stopped];

  /** A session began or ended. */
  readonly onDidChange = this.#changed.event;
  /** A program stopped, at a breakpoint or otherwise. */
  readonly onDidStop = this.#stopped.event;

  constructor() {
    this.#addWithParents(vscode.debug.activeDebugSession);
    this.#disposables.push(
      vscode.debug.onDidStartDebugSession((session) => {
        this.#add(session);
      }),
      // Of those that began before the extension was activated nothing is told but which is the active one.
      vscode.debug.onDidChangeActiveDebugSession((session) => {
        this.#addWithParents(session);
      }),
      vscode.debug.onDidTerminateDebugSession((session) => {
        this.#remove(session);
        this.#gone.delete(session.id);
      }),
    );
    for (const type of TYPES) {
      this.#disposables.push(
        vscode.debug.registerDebugAdapterTrackerFactory(type, {
          createDebugAdapterTracker: (session) => this.#tracker(session),
        }),
      );
    }
  }

  dispose(): void {
    for (const disposable of this.#disposables) {
      disposable.dispose();
    }
  }

  get all(): readonly vscode.DebugSession[] {
    return [...this.#sessions.values()];
  }

  /** The session that the debug toolbar is about, if it is a Python program's. */
  get active(): vscode.DebugSession | undefined {
    const active = vscode.debug.activeDebugSession;
    return active === undefined ? undefined : this.#sessions.get(active.id);
  }

  /** The sessions of the program that the debug toolbar is about: it may be of several processes. All, if that is no Python program. */
  get ofActiveProgram(): readonly vscode.DebugSession[] {
    const active = vscode.debug.activeDebugSession;
    const root = active === undefined ? undefined : rootOf(active);
    const related = this.all.filter((session) => rootOf(session).id === root?.id);
    return related.length > 0 ? related : this.all;
  }

  has(session: vscode.DebugSession): boolean {
    return this.#sessions.has(session.id);
  }

  /** Has a session evaluate, without a frame in a thread of the debugger's, whether the program runs or stands. */
  async evaluate({ session: id, expression, frame }: EvaluateParams): Promise<Evaluated> {
    const session = this.#sessions.get(id);
    if (session === undefined) {
      return { gone: true };
    }
    const request = frame === undefined ? { expression, context: "repl" } : { expression, context: "watch", frameId: frame };
    try {
      const answer = (await session.customRequest("evaluate", request)) as { result?: string } | undefined;
      return { result: answer?.result ?? "" };
    } catch (error) {
      return (await this.#ends(id)) ? { gone: true } : { error: messageOf(error) };
    }
  }

  /** Whether a session is no more, or a moment later. */
  async #ends(id: string): Promise<boolean> {
    if (this.#sessions.has(id)) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          clearTimeout(timer);
          listening.dispose();
          resolve();
        };
        const timer = setTimeout(done, NEWS_WITHIN_MILLISECONDS);
        const listening = this.onDidChange(() => {
          if (!this.#sessions.has(id)) {
            done();
          }
        });
      });
    }
    return !this.#sessions.has(id);
  }

  #tracker(session: vscode.DebugSession): vscode.DebugAdapterTracker {
    // A session that is started again is the same one, with another adapter.
    this.#gone.delete(session.id);
    const goes = (): void => {
      this.#gone.add(session.id);
      this.#remove(session);
    };
    return {
      onDidSendMessage: (message: { type?: string; event?: string }) => {
        if (message.type !== "event") {
          return;
        }
        if (message.event === "stopped") {
          // A program can stop before VS Code says that its session began.
          this.#add(session);
          this.#stopped.fire(session);
        } else if (message.event === "exited" || message.event === "terminated") {
          goes();
        }
      },
      onWillStopSession: goes,
      onExit: goes,
    };
  }

  #addWithParents(session: vscode.DebugSession | undefined): void {
    for (let each = session; each !== undefined; each = each.parentSession) {
      this.#add(each);
    }
  }

  #add(session: vscode.DebugSession): void {
    if (isOfPython(session) && !this.#sessions.has(session.id) && !this.#gone.has(session.id)) {
      this.#sessions.set(session.id, session);
      this.#changed.fire();
    }
  }

  #remove(session: vscode.DebugSession): void {
    if (this.#sessions.delete(session.id)) {
      this.#changed.fire();
    }
  }
}

/** Whether it is one of those that snapshots can be taken of. */
export function isOfPython(session: vscode.DebugSession): boolean {
  return TYPES.has(session.type);
}

function rootOf(session: vscode.DebugSession): vscode.DebugSession {
  return session.parentSession === undefined ? session : rootOf(session.parentSession);
}

/** A session as the server knows it. */
export function described(session: vscode.DebugSession): DebugSessionParams {
  return {
    id: session.id,
    name: session.name,
    folder: session.workspaceFolder?.uri.toString() ?? null,
    pathMappings: pathMappings(session),
  };
}

/** Where the debugger was told that the sources lie. */
function pathMappings(session: vscode.DebugSession): readonly PathMapping[] {
  const { pathMappings: mappings, localRoot, remoteRoot } = session.configuration as {
    pathMappings?: unknown;
    localRoot?: unknown;
    remoteRoot?: unknown;
  };
  const candidates: unknown[] = Array.isArray(mappings) ? mappings : [];
  return [...candidates, { localRoot, remoteRoot }].filter(isPathMapping);
}

function isPathMapping(value: unknown): value is PathMapping {
  const mapping = value as Partial<PathMapping> | null;
  return typeof mapping?.localRoot === "string" && typeof mapping.remoteRoot === "string";
}
