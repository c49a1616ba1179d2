// "Who holds this?": of a variable, of a watch expression, or of what the cursor is on, in the frame where the program stopped.
import * as vscode from "vscode";
import type { DebugSessions } from "./debugSessions";
import { warn } from "./messages";
import { ExpressionRequest } from "./protocol";
import type { ReferrersTree } from "./referrersTree";
import type { Server } from "./server";
import type { Snapshots } from "./snapshots";

/** What the editor hands to a command of the context menus of its views of variables and of watch expressions. */
interface MenuContext {
  readonly sessionId?: string;
  readonly variable?: { readonly name?: string; readonly evaluateName?: string };
  /** Of a watch expression. */
  readonly name?: string;
  readonly evaluateName?: string;
}

export class WhoHolds {
  readonly #server: Server;
  readonly #sessions: DebugSessions;
  readonly #snapshots: Snapshots;
  readonly #referrers: ReferrersTree;

  constructor(server: Server, sessions: DebugSessions, snapshots: Snapshots, referrers: ReferrersTree) {
    this.#server = server;
    this.#sessions = sessions;
    this.#snapshots = snapshots;
    this.#referrers = referrers;
  }

  async ask(context: unknown): Promise<void> {
    const item = vscode.debug.activeStackItem;
    if (!(item instanceof vscode.DebugStackFrame) || !this.#sessions.has(item.session)) {
      warn("Pause the Python program first, and choose a frame in the Call Stack: the name is looked up there.");
      return;
    }
    const expression = (await this.#expressionOf(context))?.trim();
    if (expression === undefined || expression === "") {
      warn("There is no name to ask about: choose a variable, or put the cursor on a name.");
      return;
    }
    const { session, frameId: frame } = item;
    const object = await this.#snapshots.captureObject(session, { session: session.id, frame, expression });
    if (object !== undefined) {
      await this.#referrers.show({ object }, expression);
    }
  }

  async #expressionOf(context: unknown): Promise<string | undefined> {
    if (typeof context === "object" && context !== null && !(context instanceof vscode.Uri)) {
      const { variable, name, evaluateName } = context as MenuContext;
      if (variable !== undefined) {
        return variable.evaluateName ?? variable.name;
      }
      if (evaluateName !== undefined || name !== undefined) {
        return evaluateName ?? name;
      }
    }
    const editor = vscode.window.activeTextEditor;
    if (editor === undefined) {
      return undefined;
    }
    if (!editor.selection.isEmpty) {
      return editor.document.getText(editor.selection);
    }
    const { line, character } = editor.selection.active;
    const found = await this.#server.ask(ExpressionRequest, {
      textDocument: { uri: editor.document.uri.toString() },
      position: { line, character },
    });
    return found?.expression;
  }
}
