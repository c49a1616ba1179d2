// The language server's life: started when it is first needed, started again after a crash and never without a word.
import * as path from "node:path";
import * as vscode from "vscode";
import type { Client } from "./client";
import { fail, failWith, isCancellation, messageOf } from "./messages";
import type { Request } from "./protocol";

/** After more crashes within this time it is not started again. */
const MOST_CRASHES = 3;
const CRASHES_WITHIN_MILLISECONDS = 3 * 60 * 1000;

/** A setting that is being typed has come to rest after this time. */
const TYPED_AFTER_MILLISECONDS = 500;

export class Server implements vscode.Disposable {
  readonly log = vscode.window.createOutputChannel("heldby", { log: true });
  readonly #extension: vscode.Uri;
  readonly #prepare: (client: Client) => void;
  readonly #changed = new vscode.EventEmitter<void>();
  readonly #listening: vscode.Disposable;
  #library: Promise<typeof import("./client")> | undefined;
  #client: Client | undefined;
  #starting: Promise<Client> | undefined;
  #crashes: number[] = [];
  #isFailureTold = false;
  #pathTyped: NodeJS.Timeout | undefined;

  /** It has begun to run, or runs no more. */
  readonly onDidChange = this.#changed.event;

  /** `prepare` sees each client before it starts. */
  constructor(extension: vscode.Uri, prepare: (client: Client) => void) {
    this.#extension = extension;
    this.#prepare = prepare;
    this.#listening = vscode.workspace.onDidChangeConfiguration((change) => {
      // One that nobody has needed yet need not be started either.
      if (change.affectsConfiguration("heldby.path") && this.#library !== undefined) {
        clearTimeout(this.#pathTyped);
        this.#pathTyped = setTimeout(() => {
          // Whoever needed it meanwhile has the right one already.
          if (this.#client?.program !== this.#program()) {
            this.restart().catch(failWith);
          }
        }, TYPED_AFTER_MILLISECONDS);
      }
    });
  }

  get isRunning(): boolean {
    return this.#client?.isRunning() === true;
  }

  /** The client of a running server; starts it if need be. */
  async client(): Promise<Client> {
    this.#starting ??= this.#start();
    const starting = this.#starting;
    try {
      return await starting;
    } catch (error) {
      if (this.#starting === starting) {
        this.#forget();
      }
      throw error;
    }
  }

  async ask<Params, Result>(request: Request<Params, Result>, params: Params, cancel?: vscode.CancellationToken): Promise<Result> {
    const client = await this.client();
    return await (cancel === undefined
      ? client.sendRequest<Result>(request.method, params)
      : client.sendRequest<Result>(request.method, params, cancel));
  }

  /** Starts it without having been asked to: that it does not start is told once. */
  wake(): void {
    this.client().catch((error: unknown) => {
      this.log.error(messageOf(error));
      if (!isCancellation(error) && !this.#isFailureTold) {
        this.#isFailureTold = true;
        fail(messageOf(error), {
          "Open Settings": () => vscode.commands.executeCommand("workbench.action.openSettings", "heldby.path"),
          "Show Log": () => {
            this.log.show();
          },
        });
      }
    });
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.client();
  }

  async stop(): Promise<void> {
    // Whoever waits for the library before has made the client by then.
    await this.#library;
    const client = this.#client;
    this.#forget();
    await client?.end();
    this.#changed.fire();
  }

  dispose(): void {
    clearTimeout(this.#pathTyped);
    this.#listening.dispose();
    void this.stop().finally(() => {
      this.#changed.dispose();
      this.log.dispose();
    });
  }

  async #start(): Promise<Client> {
    this.#library ??= import("./client.js");
    const { Client } = await this.#library;
    const client: Client = new Client(this.#program(), this.log, {
      ended: () => {
        if (client === this.#client) {
          this.#ended(client);
        }
      },
      changed: () => {
        this.#changed.fire();
      },
    });
    this.#client = client;
    this.#prepare(client);
    try {
      await client.start();
    } catch (error) {
      await client.end();
      if (client !== this.#client) {
        // It was ended while it started.
        throw new vscode.CancellationError();
      }
      const why = `heldby's language server does not start: ${messageOf(error)}. The setting heldby.path names the program to run.`;
      throw new Error(why, { cause: error });
    }
    this.#isFailureTold = false;
    return client;
  }

  #forget(): void {
    this.#client = undefined;
    this.#starting = undefined;
  }

  /** Says that the server has crashed, and starts it again unless it crashes all the time. */
  #ended(client: Client): void {
    this.#forget();
    void client.end();
    const now = Date.now();
    this.#crashes = [...this.#crashes.filter((at) => now - at < CRASHES_WITHIN_MILLISECONDS), now];
    const showLog = {
      "Show Log": () => {
        this.log.show();
      },
    };
    if (this.#crashes.length <= MOST_CRASHES) {
      fail("heldby's language server ended unexpectedly and was started again. Its dumps are loaded anew.", showLog);
      this.wake();
      return;
    }
    this.#crashes = [];
    const message = "heldby's language server ended unexpectedly several times and is not started again by itself.";
    fail(message, { "Restart Server": () => this.restart(), ...showLog });
  }

  #program(): string {
    const configured = vscode.workspace.getConfiguration("heldby").get<string>("path", "");
    if (configured !== "") {
      return configured;
    }
    const name = process.platform === "win32" ? "heldby.exe" : "heldby";
    return path.join(this.#extension.fsPath, "server", name);
  }
}
