// The view "heldby" in the debug sidebar: processes with their dumps, and the findings of the one that is shown.
import * as vscode from "vscode";
import { inform, messageOf } from "./messages";
import { placeOf } from "./places";
import { CommandRequest, FindingsRequest, type Dump, type Finding, type Findings, type Held, type Series, type Sort } from "./protocol";
import type { ReferrersTree } from "./referrersTree";
import type { Server } from "./server";

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

/** Where the order of the findings is kept. */
const SORT = "heldby.sort";
/** What the view says of it; nothing of the usual one. */
const SORTS: Readonly<Record<Sort, string>> = { rank: "", growth: "by growth", retained: "by retained size" };

export class FindingsView implements vscode.TreeDataProvider<Row>, vscode.Disposable {
  readonly #server: Server;
  readonly #referrers: ReferrersTree;
  readonly #changed = new vscode.EventEmitter<void>();
  readonly #view: vscode.TreeView<Row>;
  #shown: Findings | undefined;
  readonly #kept: vscode.Memento;
  readonly #listening: vscode.Disposable;
  #sort: Sort;
  /** How often it was asked: only what the last one brought is shown. */
  #asked = 0;

  readonly onDidChangeTreeData = this.#changed.event;

  /** `kept` keeps the order of the findings. */
  constructor(server: Server, referrers: ReferrersTree, kept: vscode.Memento) {
    this.#server = server;
    this.#referrers = referrers;
    this.#kept = kept;
    const sort = kept.get<string>(SORT);
    this.#sort = sort === "growth" || sort === "retained" ? sort : "rank";
    this.#view = vscode.window.createTreeView("heldby.findings", { treeDataProvider: this, showCollapseAll: true });
    this.#view.description = SORTS[this.#sort];
    this.#listening = server.onDidChange(() => this.refresh());
  }

  dispose(): void {
    this.#listening.dispose();
    this.#view.dispose();
    this.#changed.dispose();
  }

  /** What is shown, as the server told it last. */
  get shown(): Findings | undefined {
    return this.#shown;
  }

  /** Asks the server what is known now. Nothing is, when it does not run. */
  async refresh(): Promise<void> {
    this.#asked += 1;
    const asked = this.#asked;
    let shown: Findings | undefined;
    try {
      shown = this.#server.isRunning ? await this.#server.ask(FindingsRequest, { sort: this.#sort }) : undefined;
    } catch (error) {
      // That it has ended is told elsewhere.
      this.#server.log.warn(`the view was not told what is found: ${messageOf(error)}`);
    }
    if (asked === this.#asked) {
      this.#show(shown);
    }
  }

  #show(shown: Findings | undefined): void {
    this.#shown = shown;
    const warnings = shown?.findings.filter((finding) => finding.severity === "warning").length ?? 0;
    const badge = { value: warnings, tooltip: `${warnings} ${warnings === 1 ? "holder grows" : "holders grow"}` };
    this.#view.badge = warnings === 0 ? undefined : badge;
    // The declaration knows no way to take a message back; the editor takes `undefined` for it, and an empty text too.
    this.#view.message = this.#message() ?? "";
    this.#changed.fire();
  }

  async sortBy(sort: Sort): Promise<void> {
    this.#sort = sort;
    this.#view.description = SORTS[sort];
    await this.#kept.update(SORT, sort);
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
    if (finding !== undefined) {
      const hasStore = finding.stores.some((store) => store.location !== null);
      await this.#run(hasStore ? "heldby.goToStore" : "heldby.goToHolder", { finding: finding.id });
    }
  }

  async goToHolder(row: unknown): Promise<void> {
    const finding = findingOf(row);
    if (finding !== undefined) {
      await this.#run("heldby.goToHolder", { finding: finding.id });
    }
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
    if (editor === undefined) {
      return;
    }
    const position = editor.selection.active;
    const places = (finding: Finding): vscode.Location[] =>
      [...finding.stores.map((store) => store.location), ...finding.holders.map((holder) => holder.definition)]
        .filter((location) => location !== null)
        .map(placeOf);
    const isHere = (place: vscode.Location): boolean =>
      place.uri.toString() === editor.document.uri.toString() && place.range.contains(position);
    const finding = this.#shown?.findings.find((candidate) => places(candidate).some(isHere));
    if (finding === undefined) {
      inform("No finding is at the cursor.");
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

  async #run(command: string, ...args: unknown[]): Promise<void> {
    await this.#server.ask(CommandRequest, { command, arguments: args });
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
  const seen = [finding.severity === "warning" ? "warning" : "information", finding.holder.path, finding.summary, STANDINGS[finding.standing]];
  // The bars of the chart and the colour of the icon say nothing to whoever hears them.
  item.accessibilityInformation = { label: seen.filter((text) => text !== "").join(", ") };
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
