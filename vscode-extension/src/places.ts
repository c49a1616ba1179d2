// Places in source, from the protocol's form into the editor's.
import * as vscode from "vscode";
import type { Location } from "vscode-languageclient/node";

export function placeOf({ uri, range: { start, end } }: Location): vscode.Location {
  return new vscode.Location(vscode.Uri.parse(uri), new vscode.Range(start.line, start.character, end.line, end.character));
}
