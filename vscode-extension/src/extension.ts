// What the extension is made of. It shows what the language server says and does what the server asks; it knows nothing of Python.
import * as vscode from "vscode";
import type { Client } from "./client";
import { DebugSessions } from "./debugSessions";
import { FindingsView } from "./findingsView";
import { failWith } from "./messages";
import { EvaluateRequest, ShownNotification, type EvaluateParams, type Held } from "./protocol";
import { Documents, ReferrersTree } from "./referrersTree";
import { Observing } from "./observing";
import { Snapshots } from "./snapshots";
import { Server } from "./server";
import { WhoHolds } from "./whoHolds";

let server: Server | undefined;

export function activate(context: vscode.ExtensionContext): void {
  const sessions = new DebugSessions();
  const prepare = (client: Client): void => {
    client.onRequest(EvaluateRequest.method, (params: EvaluateParams) => sessions.evaluate(params));
    client.onNotification(ShownNotification, () => view.refresh());
  };
  const started = new Server(context.extensionUri, prepare);
  server = started;
  const referrers = new ReferrersTree(started);
  const view = new FindingsView(started, referrers, context.workspaceState);
  const snapshots = new Snapshots(started, sessions);
  const observing = new Observing(started, sessions);
  const whoHolds = new WhoHolds(started, sessions, snapshots, referrers);
  const commands: Readonly<Record<string, (argument?: unknown) => unknown>> = {
    "heldby.takeSnapshot": () => snapshots.take(),
    "heldby.whoHolds": (argument) => whoHolds.ask(argument),
    "heldby.openDump": () => view.openDump(),
    "heldby.confirm": (argument) => observing.count(heldOf(argument)),
    "heldby.peek": () => view.peek(),
    "heldby.restartServer": () => started.restart(),
    "heldby.showLog": () => {
      started.log.show();
    },
    "heldby.showReferrers": (argument) => referrers.show(heldOf(argument), titleOf(view, argument)),
    "heldby.sortByRank": () => view.sortBy("rank"),
    "heldby.sortByGrowth": () => view.sortBy("growth"),
    "heldby.sortByRetained": () => view.sortBy("retained"),
    "heldby.view.reveal": (argument) => view.reveal(argument),
    "heldby.view.goToHolder": (argument) => view.goToHolder(argument),
    "heldby.view.referrers": (argument) => view.showReferrers(argument),
    "heldby.view.confirm": (argument) => observing.count(view.heldOf(argument)),
    "heldby.view.ignore": (argument) => view.ignore(argument),
    "heldby.view.showSeries": (argument) => view.showSeries(argument),
    "heldby.view.delete": (argument) => view.delete(argument),
  };
  for (const [name, run] of Object.entries(commands)) {
    context.subscriptions.push(vscode.commands.registerCommand(name, told(run)));
  }
  context.subscriptions.push(
    sessions,
    started,
    view,
    snapshots,
    observing,
    vscode.workspace.registerTextDocumentContentProvider("heldby", new Documents(started)),
    // The server is there before the first snapshot is wanted.
    sessions.onDidChange(() => {
      if (sessions.all.length > 0) {
        started.wake();
      }
    }),
  );
  void startIfThereAreDumps(started, sessions);
}

export async function deactivate(): Promise<void> {
  await server?.stop();
}

/** Not when the extension was activated by its view alone. */
async function startIfThereAreDumps(started: Server, sessions: DebugSessions): Promise<void> {
  const folders = vscode.workspace.workspaceFolders ?? [];
  const looks = folders.map((folder) => vscode.workspace.fs.stat(vscode.Uri.joinPath(folder.uri, ".heldby")));
  const found = await Promise.allSettled(looks);
  if (sessions.all.length > 0 || found.some((look) => look.status === "fulfilled")) {
    started.wake();
  }
}

/** Says what went wrong in a command. */
function told(run: (argument?: unknown) => unknown): (argument?: unknown) => Promise<void> {
  return async (argument) => {
    try {
      await run(argument);
    } catch (error) {
      failWith(error);
    }
  };
}

/** What the server's quick fixes and lenses ask about. */
function heldOf(argument: unknown): Held {
  return typeof argument === "string" ? { finding: argument } : (argument as Held | undefined) ?? {};
}

function titleOf(view: FindingsView, argument: unknown): string {
  const held = heldOf(argument);
  const finding = view.shown?.findings.find((candidate) => candidate.id === held.finding);
  return finding?.accessPath ?? held.type ?? held.path ?? held.object ?? "what is held";
}
