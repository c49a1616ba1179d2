// The debug sessions of Python programs: which there are, and evaluation in them on the server's behalf.
import * as vscode from "vscode";
import type { LanguageClient } from "vscode-languageclient/node";
import type { DebugSessionParams, EvaluateParams, Evaluated, PathMapping } from "./protocol";

const TYPES: ReadonlySet<string> = new Set(["debugpy", "python"]);

export class DebugSessions implements vscode.Disposable {
  readonly #sessions = new Map<string, vscode.DebugSession>();
  readonly #changed = new vscode.EventEmitter<void>();
  readonly #stopped = new vscode.EventEmitter<vscode.DebugSession>();
  readonly #disposables: { dispose(): unknown }[] = [this.#changed, this.#stopped];

  /** A session began or ended. */
  readonly onDidChange = this.#changed.event;
  /** A program stopped, at a breakpoint or otherwise. */
  readonly onDidStop = this.#stopped.event;

  constructor() {
    // One that began before the extension was activated.
    const active = vscode.debug.activeDebugSession;
    if (active !== undefined) {
      this.#add(active);
    }
    this.#disposables.push(
      vscode.debug.onDidStartDebugSession((session) => {
        this.#add(session);
      }),
      vscode.debug.onDidTerminateDebugSession((session) => {
        if (this.#sessions.delete(session.id)) {
          this.#changed.fire();
        }
      }),
    );
    for (const type of TYPES) {
      this.#disposables.push(
        vscode.debug.registerDebugAdapterTrackerFactory(type, {
          createDebugAdapterTracker: (session) => ({
            onDidSendMessage: (message: { type?: string; event?: string }) => {
              if (message.type === "event" && message.event === "stopped") {
                // A program can stop before VS Code says that its session began.
                this.#add(session);
                this.#stopped.fire(session);
              }
            },
          }),
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

  /** The sessions of the program that the debug toolbar is about, parents first: it may be of several processes. */
  get ofActiveProgram(): readonly vscode.DebugSession[] {
    const active = vscode.debug.activeDebugSession;
    const root = active === undefined ? undefined : rootOf(active);
    const related = this.all.filter((session) => rootOf(session).id === root?.id);
    return related.length > 0 || active !== undefined ? related : this.all;
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
      if (!this.#sessions.has(id)) {
        return { gone: true };
      }
      return { error: error instanceof Error ? error.message : String(error) };
    }
  }

  #add(session: vscode.DebugSession): void {
    if (TYPES.has(session.type) && !this.#sessions.has(session.id)) {
      this.#sessions.set(session.id, session);
      this.#changed.fire();
    }
  }
}

function rootOf(session: vscode.DebugSession): vscode.DebugSession {
  return session.parentSession === undefined ? session : rootOf(session.parentSession);
}

/** A session as the server knows it. */
export function describedFor(client: LanguageClient, session: vscode.DebugSession): DebugSessionParams {
  return {
    id: session.id,
    name: session.name,
    folder: session.workspaceFolder === undefined ? null : client.code2ProtocolConverter.asUri(session.workspaceFolder.uri),
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
