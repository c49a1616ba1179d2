// What is seen in the program besides its heap: from its start on where its containers grow, and when asked how often lines run.
import * as vscode from "vscode";
import { describedFor, type DebugSessions } from "./debugSessions";
import { ConfirmRequest, TraceRequest, type Held } from "./protocol";
import type { Server } from "./server";
import { isCancellation, messageOf } from "./snapshots";

export class Observing implements vscode.Disposable {
  readonly #server: Server;
  readonly #sessions: DebugSessions;
  readonly #listening: vscode.Disposable;
  /** Those that were looked at already. */
  readonly #known = new WeakSet<vscode.DebugSession>();

  constructor(server: Server, sessions: DebugSessions) {
    this.#server = server;
    this.#sessions = sessions;
    this.#listening = sessions.onDidChange(() => {
      this.#traceNew();
    });
    this.#traceNew();
  }

  dispose(): void {
    this.#listening.dispose();
  }

  /** Has the program count for some seconds how often the lines of a finding run, and the finding ranked by that. */
  async count({ finding }: Held): Promise<void> {
    const sessions = this.#sessions.all;
    if (finding === undefined) {
      return;
    }
    if (sessions.length === 0) {
      await vscode.window.showWarningMessage("Lines are counted in a program that is being debugged: start it again, and take its snapshots.");
      return;
    }
    const seconds = settings().get<number>("countLinesFor", 5);
    const options = { location: vscode.ProgressLocation.Notification, title: `Counting for ${seconds} s how often lines run`, cancellable: true };
    try {
      const counted = await vscode.window.withProgress(options, async (_, cancel) => {
        const client = await this.#server.client();
        const params = { finding, sessions: sessions.map((session) => describedFor(client, session)), seconds, ...transfer() };
        return await client.sendRequest(ConfirmRequest, params, cancel);
      });
      if (counted.problem !== undefined) {
        await vscode.window.showWarningMessage(`No line was counted: ${counted.problem}.`);
        return;
      }
      const ran = (counted.runs ?? []).filter((runs) => runs !== null && runs > 0).length;
      await vscode.window.showInformationMessage(
        ran === 0
          ? `None of the lines ran within ${seconds} s: have the program do again what makes its memory grow, and count meanwhile.`
          : `${ran === 1 ? "One line" : `${ran} lines`} ran within ${seconds} s. They come first now.`,
      );
    } catch (error) {
      if (!isCancellation(error)) {
        throw error;
      }
    }
  }

  #traceNew(): void {
    for (const session of this.#sessions.all) {
      if (!this.#known.has(session)) {
        this.#known.add(session);
        void this.#trace(session);
      }
    }
  }

  async #trace(session: vscode.DebugSession): Promise<void> {
    const what = settings().get<string>("storeSites", "off");
    if (what === "off") {
      return;
    }
    try {
      const client = await this.#server.client();
      const params = { session: describedFor(client, session), all: what === "all", ...transfer() };
      const { problem } = await client.sendRequest(TraceRequest, params);
      if (problem === undefined) {
        this.#server.log.info(`${session.name}: it is noted where containers grow`);
      } else {
        await vscode.window.showWarningMessage(`It is not observed where the containers of “${session.name}” grow: ${problem}.`);
      }
    } catch (error) {
      this.#server.log.warn(`${session.name}: it is not observed where containers grow: ${messageOf(error)}`);
    }
  }
}

function settings(): vscode.WorkspaceConfiguration {
  return vscode.workspace.getConfiguration("heldby.observe");
}

function transfer(): { alwaysTransfer: boolean; timeoutSeconds: number } {
  const snapshots = vscode.workspace.getConfiguration("heldby.snapshots");
  return { alwaysTransfer: snapshots.get<boolean>("alwaysTransfer", false), timeoutSeconds: snapshots.get<number>("timeout", 60) };
}
