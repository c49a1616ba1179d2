// The view "heldby" in the debug sidebar: processes with their dumps, and the findings of the one that is shown.
import * as vscode from "vscode";
import { ExecuteCommandRequest, type Location } from "vscode-languageclient/node";
import { FindingsRequest, type Dump, type Finding, type Findings, type Held, type Series, type Sort } from "./protocol";
import type { ReferrersTree } from "./referrersTree";
import type { Server } from "./server";
import { messageOf } from "./snapshots";

type Row =
  | { readonly kind: "findings"; readonly title: string; readonly rows: readonly Finding[]; readonly isOpen: boolean }
  | { readonly kind: "finding"; readonly finding: Finding }
  | { readonly kind: "fixed"; readonly title: string }
  | { readonly kind: "series"; readonly series: Series }
  | { readonly kind: "dump"; readonly dump: Dump }
  | { readonly kind: "problem"; readonly path: string; readonly message: string };

const STANDINGS: Readonly<Record<Finding["standing"], string>> = {
  unknown: "",
  new: "new",
  stillThere: "still there",
  before: "seen in the session before",
};

export class FindingsView implements vscode.TreeDataProvider<Row>, vscode.Disposable {
  readonly #server: Server;
  readonly #referrers: ReferrersTree;
  readonly #changed = new vscode.EventEmitter<void>();
  readonly #view: vscode.TreeView<Row>;
  #shown: Findings | undefined;
  #sort: Sort = "rank";

  readonly onDidChangeTreeData = this.#changed.event;

  constructor(server: Server, referrers: ReferrersTree) {
    this.#server = server;
    this.#referrers = referrers;
    this.#view = vscode.window.createTreeView("heldby.findings", { treeDataProvider: this, showCollapseAll: true });
  }

  dispose(): void {
    this.#view.dispose();
    this.#changed.dispose();
  }

  /** What is shown, as the server told it last. */
  get shown(): Findings | undefined {
    return this.#shown;
  }

  /** Asks the server what is known now. */
  async refresh(): Promise<void> {
    const client = this.#server.running;
    this.#shown = client === undefined ? undefined : await client.sendRequest(FindingsRequest, { sort: this.#sort });
    const warnings = this.#shown?.findings.filter((finding) => finding.severity === "warning").length ?? 0;
    const badge = { value: warnings, tooltip: `${warnings} ${warnings === 1 ? "holder grows" : "holders grow"}` };
    this.#view.badge = warnings === 0 ? undefined : badge;
    // The declaration knows no way to take a message back; the editor takes `undefined` for it, and an empty text too.
    this.#view.message = this.#message() ?? "";
    this.#changed.fire();
  }

  async sortBy(sort: Sort): Promise<void> {
    this.#sort = sort;
    await this.refresh();
  }

  getTreeItem(row: Row): vscode.TreeItem {
    switch (row.kind) {
      case "findings": {
        const { Expanded, Collapsed } = vscode.TreeItemCollapsibleState;
        const item = new vscode.TreeItem(row.title, row.isOpen ? Expanded : Collapsed);
        item.description = String(row.rows.length);
        return item;
      }
      case "finding":
        return findingItem(row.finding);
      case "fixed": {
        const item = new vscode.TreeItem(row.title);
        item.iconPath = new vscode.ThemeIcon("pass", new vscode.ThemeColor("testing.iconPassed"));
        item.description = "fixed since the session before";
        return item;
      }
      case "series": {
        const { series } = row;
        const item = new vscode.TreeItem(series.program, vscode.TreeItemCollapsibleState.Collapsed);
        item.id = series.id;
        item.description = `pid ${series.pid}, ${series.dumps.length} ${series.dumps.length === 1 ? "dump" : "dumps"}${series.current ? ", shown" : ""}`;
        item.iconPath = new vscode.ThemeIcon(series.current ? "eye" : "server-process");
        item.contextValue = series.current ? "currentSeries" : "series";
        return item;
      }
      case "dump": {
        const { dump } = row;
        const item = new vscode.TreeItem(new Date(dump.takenAt).toLocaleTimeString());
        item.id = dump.path;
        item.description = `${dump.objects.toLocaleString("en")} objects, ${mebibytes(dump.bytes)}, ${dump.age}`;
        item.tooltip = [dump.path, ...dump.problems].join("\n");
        item.iconPath = new vscode.ThemeIcon(dump.problems.length === 0 ? "database" : "warning");
        item.contextValue = "dump";
        return item;
      }
      case "problem": {
        const item = new vscode.TreeItem(row.path.replace(/^.*[\\/]/, ""));
        item.description = row.message;
        item.tooltip = `${row.path}\n${row.message}`;
        item.iconPath = new vscode.ThemeIcon("error");
        item.contextValue = "problem";
        return item;
      }
    }
  }

  getChildren(row?: Row): Row[] {
    const shown = this.#shown;
    if (shown === undefined) {
      return [];
    }
    switch (row?.kind) {
      case undefined:
        return roots(shown);
      case "findings":
        return row.rows.map((finding) => ({ kind: "finding", finding }));
      case "series":
        return row.series.dumps.map((dump) => ({ kind: "dump", dump }));
      default:
        return [];
    }
  }

  /** Opens the line that creates the references of a finding, else where its holder is defined. */
  async reveal(row: unknown): Promise<void> {
    const finding = findingOf(row);
    const places = [...(finding?.stores ?? []).map((store) => store.location), finding?.holder.definition];
    await this.#open(places.find((place) => place !== null && place !== undefined));
  }

  async goToHolder(row: unknown): Promise<void> {
    await this.#open(findingOf(row)?.holder.definition);
  }

  async showReferrers(row: unknown): Promise<void> {
    const finding = findingOf(row);
    if (finding !== undefined) {
      await this.#referrers.show({ finding: finding.id }, finding.accessPath);
    }
  }

  /** What a row is about. */
  heldOf(row: unknown): Held {
    const finding = findingOf(row);
    return finding === undefined ? {} : { finding: finding.id };
  }

  async ignore(row: unknown): Promise<void> {
    const finding = findingOf(row);
    if (finding !== undefined) {
      await this.#run("heldby.ignore", { finding: finding.id });
    }
  }

  async showSeries(row: unknown): Promise<void> {
    const series = row as Row | undefined;
    if (series?.kind === "series") {
      await this.#run("heldby.showSeries", series.series.id);
    }
  }

  async delete(row: unknown): Promise<void> {
    const paths = pathsOf(row as Row | undefined);
    const what = paths.length === 1 ? "the dump" : `${paths.length} dumps`;
    const choice = await vscode.window.showWarningMessage(`Delete ${what} from the disk?`, { modal: true }, "Delete");
    if (choice === "Delete") {
      await this.#run("heldby.delete", ...paths.map((path) => vscode.Uri.file(path).toString()));
    }
  }

  /** Loads dumps that were taken elsewhere. */
  async openDump(): Promise<void> {
    const chosen = await vscode.window.showOpenDialog({
      canSelectMany: true,
      title: "Open heap dumps of one process",
      filters: { "heldby dumps": ["heldby"], "All files": ["*"] },
    });
    if (chosen !== undefined && chosen.length > 0) {
      await this.#run("heldby.load", ...chosen.map((uri) => uri.toString()));
      await vscode.commands.executeCommand("heldby.findings.focus");
    }
  }

  /** Shows the holders and stores of the finding at the cursor beside it. */
  async peek(): Promise<void> {
    const editor = vscode.window.activeTextEditor;
    const client = await this.#server.client();
    if (editor === undefined) {
      return;
    }
    const position = editor.selection.active;
    const places = (finding: Finding): vscode.Location[] =>
      [...finding.stores.map((store) => store.location), ...finding.holders.map((holder) => holder.definition)]
        .filter((location) => location !== null)
        .map((location) => client.protocol2CodeConverter.asLocation(location));
    const isHere = (place: vscode.Location): boolean =>
      place.uri.toString() === editor.document.uri.toString() && place.range.contains(position);
    const finding = this.#shown?.findings.find((candidate) => places(candidate).some(isHere));
    if (finding === undefined) {
      await vscode.window.showInformationMessage("No finding is at the cursor.");
      return;
    }
    await vscode.commands.executeCommand("editor.action.peekLocations", editor.document.uri, position, places(finding), "peek");
  }

  #message(): string | undefined {
    const shown = this.#shown;
    if (shown === undefined || shown.series.length === 0) {
      return undefined;
    }
    const none = shown.findings.length === 0 ? "Nothing is held that is worth telling." : undefined;
    return shown.hint ?? none;
  }

  async #open(location: Location | null | undefined): Promise<void> {
    const client = this.#server.running;
    if (location === null || location === undefined || client === undefined) {
      await vscode.window.showInformationMessage("The place is not in the source of today.");
      return;
    }
    const place = client.protocol2CodeConverter.asLocation(location);
    await vscode.window.showTextDocument(place.uri, { selection: place.range.with({ end: place.range.start }) });
  }

  async #run(command: string, ...args: unknown[]): Promise<void> {
    try {
      const client = await this.#server.client();
      await client.sendRequest(ExecuteCommandRequest.type, { command, arguments: args });
    } catch (error) {
      await vscode.window.showErrorMessage(`heldby: ${messageOf(error)}`);
    }
  }
}

function roots(shown: Findings): Row[] {
  const rows: Row[] = shown.findings.map((finding) => ({ kind: "finding", finding }));
  rows.push(...shown.fixed.map((title): Row => ({ kind: "fixed", title })));
  if (shown.ignored.length > 0) {
    rows.push({ kind: "findings", title: "Ignored", rows: shown.ignored, isOpen: false });
  }
  // The newest process first.
  rows.push(...[...shown.series].reverse().map((series): Row => ({ kind: "series", series })));
  rows.push(...shown.problems.map(({ path, message }): Row => ({ kind: "problem", path, message })));
  return rows;
}

function findingItem(finding: Finding): vscode.TreeItem {
  const item = new vscode.TreeItem(finding.holder.path);
  item.id = finding.id;
  item.description = [finding.chart, finding.summary, STANDINGS[finding.standing]].filter((text) => text !== "").join("  ");
  item.tooltip = new vscode.MarkdownString().appendText(`${finding.title}\n\n${finding.help}`);
  item.iconPath =
    finding.severity === "warning"
      ? new vscode.ThemeIcon("warning", new vscode.ThemeColor("list.warningForeground"))
      : new vscode.ThemeIcon("info");
  item.contextValue = "finding";
  item.command = { command: "heldby.view.reveal", title: "Go to Store", arguments: [{ kind: "finding", finding }] };
  return item;
}

function findingOf(row: unknown): Finding | undefined {
  const candidate = row as Row | undefined;
  return candidate?.kind === "finding" ? candidate.finding : undefined;
}

function pathsOf(row: Row | undefined): readonly string[] {
  switch (row?.kind) {
    case "series":
      return row.series.dumps.map((dump) => dump.path);
    case "dump":
      return [row.dump.path];
    case "problem":
      return [row.path];
    default:
      return [];
  }
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
