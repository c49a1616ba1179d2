// What is said on the screen. No command waits until a message is sent away: it would count as running until then.
import * as vscode from "vscode";

/** What the buttons of a message do. */
export type Choices = Readonly<Record<string, () => unknown>>;

type Show = (message: string, ...choices: string[]) => Thenable<string | undefined>;

export function inform(message: string, choices: Choices = {}): void {
  void offer(vscode.window.showInformationMessage, message, choices);
}

export function warn(message: string, choices: Choices = {}): void {
  void offer(vscode.window.showWarningMessage, message, choices);
}

export function fail(message: string, choices: Choices = {}): void {
  void offer(vscode.window.showErrorMessage, message, choices);
}

/** Says what went wrong in something that nobody waits for. */
export function failWith(error: unknown): void {
  if (!isCancellation(error)) {
    const message = messageOf(error);
    fail(message.startsWith("heldby") ? message : `heldby: ${message}`);
  }
}

async function offer(show: Show, message: string, choices: Choices): Promise<void> {
  const choice = await show(message, ...Object.keys(choices));
  try {
    await (choice === undefined ? undefined : choices[choice]?.());
  } catch (error) {
    failWith(error);
  }
}

export function isCancellation(error: unknown): boolean {
  // The protocol's numbers of a request that was cancelled, by the client and by the server.
  const code = (error as { code?: unknown } | undefined)?.code;
  return error instanceof vscode.CancellationError || code === -32800 || code === -32802;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
