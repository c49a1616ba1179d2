// The tree of those who reference an object, in the editor's own References view: a level at a time, as it is opened.
import * as vscode from "vscode";
import { placeOf } from "./places";
import { DocumentRequest, ReferrersRequest, type Held, type Referrer, type Referrers } from "./protocol";
import type { Server } from "./server";

/** As much of the References view's interface as is used: `vscode.references-view` hands it out. */
interface ReferencesView {
  setInput(input: Input): void;
}

interface Input {
  readonly contextValue: string;
  readonly title: string;
  readonly location: vscode.Location;
  resolve(): vscode.ProviderResult<Model>;
  with(location: vscode.Location): Input;
}

interface Model {
  readonly message: string | undefined;
  readonly provider: vscode.TreeDataProvider<Node>;
  readonly navigation: Navigation;
}

interface Navigation {
  nearest(uri: vscode.Uri, position: vscode.Position): Node | undefined;
  next(from: Node): Node;
  previous(from: Node): Node;
  location(node: Node): vscode.Location | undefined;
}

/** A referrer in the tree, or the rest of those that are too many. */
interface Node {
  readonly parent: Node | undefined;
  readonly referrer: Referrer | undefined;
  /** Where the rest begins. */
  readonly offset: number;
  /** Open from the start. */
  readonly isOpen: boolean;
  children: Node[] | undefined;
}

/** So many referrers of the object are open from the start, and what leads up from there without a fork. */
const OPEN_ROOTS = 5;
const OPEN_LEVELS = 6;
/** Access paths in the text above the tree. */
const PATHS = 3;

export class ReferrersTree {
  readonly #server: Server;

  constructor(server: Server) {
    this.#server = server;
  }

  /** Shows who references something. */
  async show(held: Held, title: string): Promise<void> {
    const view = vscode.extensions.getExtension<ReferencesView>("vscode.references-view");
    const first = await this.#server.ask(ReferrersRequest, held);
    if (view === undefined) {
      // An editor without that view: the same as text.
      await vscode.window.showTextDocument(documentOf(first), { preview: true });
      return;
    }
    const references = await view.activate();
    references.setInput(new ReferrersInput(this.#server, first, title));
  }
}

class ReferrersInput implements Input {
  readonly contextValue = "heldby.referrers";
  readonly title: string;
  readonly location: vscode.Location;
  readonly #server: Server;
  readonly #first: Referrers;
  readonly #what: string;

  constructor(server: Server, first: Referrers, what: string) {
    this.#server = server;
    this.#first = first;
    this.#what = what;
    this.title = `Referrers of ${what}`;
    // Not the cursor: the view shows nothing for a place where no word is.
    this.location = new vscode.Location(documentOf(first), new vscode.Position(0, 0));
  }

  resolve(): Model {
    const tree = new Tree(this.#server, this.#first);
    const held = this.#first.paths.length === 0 ? "" : ` Held by ${this.#first.paths.slice(0, PATHS).join(", ")}.`;
    return { message: `${this.#first.summary}.${held}`, provider: tree, navigation: tree };
  }

  with(): Input {
    return new ReferrersInput(this.#server, this.#first, this.#what);
  }
}

class Tree implements vscode.TreeDataProvider<Node>, Navigation {
  readonly #server: Server;
  readonly #object: string;
  /** What the addresses are of. */
  readonly #dump: string;
  readonly #roots: Node[];

  constructor(server: Server, first: Referrers) {
    this.#server = server;
    this.#object = first.id;
    this.#dump = first.dump;
    this.#roots = nodes(undefined, first);
  }

  getTreeItem(node: Node): vscode.TreeItem {
    const { referrer } = node;
    if (referrer === undefined) {
      return new vscode.TreeItem("more…", vscode.TreeItemCollapsibleState.Collapsed);
    }
    const { None, Collapsed, Expanded } = vscode.TreeItemCollapsibleState;
    const state = !referrer.hasReferrers ? None : node.isOpen ? Expanded : Collapsed;
    const item = new vscode.TreeItem(referrer.name ?? `${referrer.reference} of a ${referrer.type ?? "reference held by C code"}`, state);
    item.description = referrer.name === undefined ? referrer.kind : `${referrer.kind}, ${referrer.type ?? "C code"}`;
    item.tooltip = `${referrer.reference} of ${referrer.type ?? "C code"}${referrer.id === null ? "" : ` at ${referrer.id}`}`;
    item.contextValue = "heldby.referrer";
    const location = this.location(node);
    if (location !== undefined) {
      item.iconPath = new vscode.ThemeIcon("go-to-file");
      item.command = {
        command: "vscode.open",
        title: "Open",
        arguments: [location.uri, { selection: location.range.with({ end: location.range.start }) } satisfies vscode.TextDocumentShowOptions],
      };
    }
    return item;
  }

  async getChildren(node?: Node): Promise<Node[]> {
    if (node === undefined) {
      return this.#roots;
    }
    node.children ??= await this.#fetch(node);
    return node.children;
  }

  getParent(node: Node): Node | undefined {
    return node.parent;
  }

  location(node: Node): vscode.Location | undefined {
    const location = node.referrer?.location;
    return location === undefined ? undefined : placeOf(location);
  }

  nearest(uri: vscode.Uri, position: vscode.Position): Node | undefined {
    const inFile = this.#opened().filter((node) => this.location(node)?.uri.toString() === uri.toString());
    const distance = (node: Node): number => Math.abs((this.location(node)?.range.start.line ?? 0) - position.line);
    return inFile.sort((one, other) => distance(one) - distance(other))[0] ?? this.#opened()[0];
  }

  next(from: Node): Node {
    return this.#neighbour(from, 1);
  }

  previous(from: Node): Node {
    return this.#neighbour(from, -1);
  }

  /** Around the end to the beginning, by the nodes that have a place. */
  #neighbour(from: Node, step: 1 | -1): Node {
    const all = this.#opened();
    const start = all.indexOf(from);
    for (let away = 1; away <= all.length; away += 1) {
      const node = all[(start + step * away + all.length * 2) % all.length];
      if (node !== undefined && this.location(node) !== undefined) {
        return node;
      }
    }
    return from;
  }

  #opened(): Node[] {
    const within = (list: readonly Node[]): Node[] => list.flatMap((node) => [node, ...within(node.children ?? [])]);
    return within(this.#roots);
  }

  async #fetch(node: Node): Promise<Node[]> {
    // The rest of a list is of the same object as what stands beside it.
    const of = node.referrer === undefined ? node.parent?.referrer?.id ?? this.#object : node.referrer.id;
    if (of === null) {
      return [];
    }
    const answer = await this.#server.ask(ReferrersRequest, { object: of, dump: this.#dump, offset: node.offset });
    return nodes(node.referrer === undefined ? node.parent : node, answer);
  }
}

function nodes(parent: Node | undefined, answer: Referrers): Node[] {
  const count = answer.referrers.length;
  const isOpen = parent === undefined ? count <= OPEN_ROOTS : count === 1 && parent.isOpen && levelOf(parent) < OPEN_LEVELS;
  const list: Node[] = answer.referrers.map((referrer) => ({ parent, referrer, offset: 0, isOpen, children: undefined }));
  if (answer.nextOffset !== undefined) {
    list.push({ parent, referrer: undefined, offset: answer.nextOffset, isOpen: false, children: undefined });
  }
  return list;
}

/** The same as text. */
function documentOf(of: Referrers): vscode.Uri {
  return vscode.Uri.parse(`heldby://shown/object/${of.id}@${of.dump}.txt`);
}

function levelOf(node: Node): number {
  return node.parent === undefined ? 1 : levelOf(node.parent) + 1;
}

/** Shows `heldby:` documents: what a finding holds, as text. */
export class Documents implements vscode.TextDocumentContentProvider {
  readonly #server: Server;

  constructor(server: Server) {
    this.#server = server;
  }

  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    const document = await this.#server.ask(DocumentRequest, { uri: uri.toString() });
    return document?.text ?? "This is not loaded any more: show its process again, or take another heap snapshot.\n";
  }
}
