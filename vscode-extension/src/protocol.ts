// What the language server and this extension say to each other beyond the Language Server Protocol.
import type { Location, Position } from "vscode-languageclient/node";

/** A request with the types of what is asked and answered. The library's own kind would have to be loaded to say as much. */
export interface Request<Params, Result> {
  readonly method: string;
  /** Not there: it only binds the types. */
  readonly types?: (params: Params) => Result;
}

function request<Params, Result>(method: string): Request<Params, Result> {
  return { method };
}

export interface Series {
  readonly id: string;
  readonly pid: number;
  readonly program: string;
  readonly current: boolean;
  readonly dumps: readonly Dump[];
}

export interface Dump {
  readonly path: string;
  /** Milliseconds since the epoch. */
  readonly takenAt: number;
  readonly age: string;
  readonly objects: number;
  readonly bytes: number;
  readonly problems: readonly string[];
}

export interface Holder {
  readonly kind: string;
  readonly path: string;
  readonly type: string;
  readonly definition: Location | null;
}

export interface Site {
  readonly role: string;
  readonly evidence: string;
  readonly placement: string;
  readonly location: Location | null;
}

export interface Finding {
  readonly id: string;
  readonly title: string;
  readonly summary: string;
  readonly chart: string;
  readonly severity: "warning" | "information";
  readonly standing: "unknown" | "new" | "stillThere" | "before";
  readonly accessPath: string;
  readonly help: string;
  readonly holder: Holder;
  readonly holders: readonly Holder[];
  readonly stores: readonly Site[];
}

export type Sort = "rank" | "growth" | "retained";

export interface Findings {
  readonly series: readonly Series[];
  readonly hint?: string;
  readonly findings: readonly Finding[];
  readonly ignored: readonly Finding[];
  readonly fixed: readonly string[];
  readonly problems: readonly { readonly path: string; readonly message: string }[];
}

/** Has the server do something: `heldby.load` and the like. */
export const CommandRequest = request<{ readonly command: string; readonly arguments: readonly unknown[] }, unknown>("workspace/executeCommand");

export const FindingsRequest = request<{ sort: Sort }, Findings>("heldby/findings");

/** What is asked about: one of the four. */
export interface Held {
  readonly object?: string;
  readonly finding?: string;
  readonly path?: string;
  readonly type?: string;
}

export interface Referrer {
  readonly kind: string;
  readonly reference: string;
  readonly name?: string;
  readonly id: string | null;
  readonly type: string | null;
  readonly hasReferrers: boolean;
  readonly location?: Location;
}

export interface Referrers {
  readonly id: string;
  /** The dump in which this and the referrers have these addresses. */
  readonly dump: string;
  readonly type: string;
  readonly paths: readonly string[];
  readonly found: number;
  /** The object in a sentence: sizes, and its reference count explained. */
  readonly summary: string;
  readonly referrers: readonly Referrer[];
  readonly nextOffset?: number;
  readonly cut: number;
}

export const ReferrersRequest = request<Held & { dump?: string; offset?: number }, Referrers>("heldby/referrers");

export interface PathMapping {
  readonly localRoot: string;
  readonly remoteRoot: string;
}

export interface DebugSessionParams {
  readonly id: string;
  readonly name: string;
  readonly folder: string | null;
  readonly pathMappings: readonly PathMapping[];
}

export interface CaptureParams {
  readonly sessions: readonly DebugSessionParams[];
  readonly object?: { readonly session: string; readonly frame: number; readonly expression: string };
  readonly alwaysTransfer: boolean;
  readonly timeoutSeconds: number;
  readonly workDoneToken: string;
}

export interface Captured {
  readonly dumps: readonly { readonly session: string; readonly objects: number }[];
  readonly problems: readonly { readonly session: string; readonly message: string }[];
  readonly object?: string;
}

export const CaptureRequest = request<CaptureParams, Captured>("heldby/capture");

interface Asking {
  readonly alwaysTransfer: boolean;
  readonly timeoutSeconds: number;
}

/** Has the lines of a finding counted in the program. */
export const ConfirmRequest = request<
  Asking & { readonly finding: string; readonly sessions: readonly DebugSessionParams[]; readonly seconds: number },
  { readonly runs?: readonly (number | null)[]; readonly problem?: string }
>("heldby/confirm");

/** Has it noted in the program where its containers grow. */
export const TraceRequest = request<
  Asking & { readonly session: DebugSessionParams; readonly all: boolean },
  { readonly problem?: string }
>("heldby/trace");

/** The server has something evaluated by a debug session. */
export interface EvaluateParams {
  readonly session: string;
  readonly expression: string;
  readonly frame?: number;
}

export type Evaluated = { readonly result: string } | { readonly error: string } | { readonly gone: true };

export const EvaluateRequest = request<EvaluateParams, Evaluated>("heldby/evaluate");

export const ExpressionRequest = request<
  { textDocument: { uri: string }; position: Position },
  { readonly expression: string } | null
>("heldby/expression");

export const DocumentRequest = request<{ uri: string }, { readonly text: string } | null>("heldby/document");

/** Other findings are shown than before. */
export const ShownNotification = "heldby/shown";
