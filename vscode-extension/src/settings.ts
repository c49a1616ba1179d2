// Settings that the server is told of in a form that it takes: the editor marks a value that is not allowed, and hands it out all the same.
import * as vscode from "vscode";

export function snapshotSettings(): vscode.WorkspaceConfiguration {
  return vscode.workspace.getConfiguration("heldby.snapshots");
}

export function observeSettings(): vscode.WorkspaceConfiguration {
  return vscode.workspace.getConfiguration("heldby.observe");
}

/** Whole seconds, one at least. */
export function secondsOf(settings: vscode.WorkspaceConfiguration, name: string, otherwise: number): number {
  const seconds = settings.get<unknown>(name);
  return typeof seconds === "number" && seconds > 0 ? Math.max(1, Math.round(seconds)) : otherwise;
}

/** How the server is to ask a debug session. */
export function asking(): { alwaysTransfer: boolean; timeoutSeconds: number } {
  const settings = snapshotSettings();
  return { alwaysTransfer: settings.get<boolean>("alwaysTransfer", false), timeoutSeconds: secondsOf(settings, "timeout", 60) };
}
