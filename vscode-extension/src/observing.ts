// What is seen in the program besides its heap: from its start on where its containers grow, and when asked how often lines run.
import * as vscode from "vscode";
import { described, type DebugSessions } from "./debugSessions";
import { inform, isCancellation, messageOf, warn } from "./messages";
import { ConfirmRequest, TraceRequest, type Held } from "./protocol";
import type { Server } from "./server";
import { asking, observeSettings, secondsOf } from "./settings";

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
      warn("Lines are counted in a program that is being debugged: start it again, and take its snapshots.");
      return;
    }
    const seconds = secondsOf(observeSettings(), "countLinesFor", 5);
    const options = { location: vscode.ProgressLocation.Notification, title: `Counting for ${seconds} s how often lines run`, cancellable: true };
    try {
      const counted = await vscode.window.withProgress(options, (_, cancel) => {
        const params = { finding, sessions: sessions.map(described), seconds, ...asking() };
        return this.#server.ask(ConfirmRequest, params, cancel);
      });
      if (counted.problem !== undefined) {
        warn(`No line was counted: ${counted.problem}.`);
        return;
      }
      const ran = (counted.runs ?? []).filter((runs) => runs !== null && runs > 0).length;
      inform(
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
    const what = observeSettings().get<string>("storeSites", "off");
    if (what === "off") {
      return;
    }
    try {
      const params = { session: described(session), all: what === "all", ...asking() };
      const { problem } = await this.#server.ask(TraceRequest, params);
      if (problem === undefined) {
        this.#server.log.info(`${session.name}: it is noted where containers grow`);
      } else {
        warn(`It is not observed where the containers of “${session.name}” grow: ${problem}.`);
      }
    } catch (error) {
      this.#server.log.warn(`${session.name}: it is not observed where containers grow: ${messageOf(error)}`);
    }
  }
}
