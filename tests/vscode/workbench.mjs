// VS Code as its user has it: a window, a keyboard and a mouse. Everything a test does or reads goes through what is on the screen.

import { mkdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { test } from "node:test";
import { inspect } from "node:util";

import { startServer } from "./server.mjs";
import { STUCK_AFTER_MS, until } from "./waiting.mjs";

const { chromium } = createRequire(path.join(process.env.NODE_MODULES, "driver.cjs"))("playwright-core");

const WINDOW = { width: 1440, height: 900 };

/** How long one attempt of something that is tried again is given. */
const ATTEMPT_MS = 2500;

/** A folder of a test's own, empty. */
export function freshFolder(name) {
  const folder = path.join(process.env.WORK, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** A browser with a page of its own, not yet on VS Code. */
export async function openBrowser() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ["--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"],
  });
  const page = await (await browser.newContext({ viewport: WINDOW })).newPage();
  page.setDefaultTimeout(STUCK_AFTER_MS);
  await page.addInitScript(keepNotifications);
  return { browser, page };
}

/**
 * A test with VS Code on a folder. When it fails there is a screenshot of the moment, and the end of the server's log.
 *
 * @param prepare is given an empty folder, and returns the folder to open and settings
 */
export function workbenchTest(name, prepare, body) {
  test(name, async (context) => {
    const slug = name.replaceAll(/\W+/g, "-").toLowerCase();
    const home = freshFolder(slug);
    const { folder, settings, trustAll, ...more } = await prepare(home);
    const server = await startServer({ folder: path.join(home, "vscode"), settings, trustAll });
    let browser;
    let workbench;
    try {
      const opened = await openBrowser();
      browser = opened.browser;
      workbench = new Workbench(opened.page, slug, folder);
      await workbench.open(server.address);
      await body(workbench, { folder, home, say: (line) => context.diagnostic(line), ...more });
    } catch (error) {
      await explain(error, workbench, server);
      throw error;
    } finally {
      await browser?.close();
      await server.stop();
    }
  });
}

/** What is known of a failure, at once and the most telling first: the report of all tests comes later. */
async function explain(error, workbench, server) {
  const seen = (await workbench?.notificationsSeen().catch(() => [])) ?? [];
  const shown = seen.map(({ severity, text }) => `  ${severity}: ${text}`).join("\n");
  console.error(`FAILED: ${inspect(error)}\nnotifications so far:\n${shown || "  none"}\n${server.heldbySaid()}\n${server.said()}`);
  if (workbench !== undefined) {
    await workbench.screenshot("failed").catch(() => {});
    // The programs that are debugged would outlive their debugger. There may be several, and a window that takes no keys.
    for (let programs = 0; programs < 3; programs += 1) {
      await workbench.page.keyboard.press("Shift+F5").catch(() => {});
      if (await disappears(workbench.page.locator(".debug-toolbar"), ATTEMPT_MS)) {
        break;
      }
    }
  }
}

/** In the page, from its start: keeps each message that is shown, with its severity. */
function keepNotifications() {
  window.notificationsKept = [];
  const texts = new WeakMap();
  const look = () => {
    for (const item of document.querySelectorAll(".notifications-toasts .notification-list-item")) {
      const text = item.innerText.replaceAll(/\s+/g, " ").trim();
      if (text !== "" && texts.get(item) !== text) {
        texts.set(item, text);
        const icon = item.querySelector(".notification-list-item-icon")?.className ?? "";
        const [, severity = "info"] = /codicon-(error|warning)/.exec(icon) ?? [];
        window.notificationsKept.push({ severity, text });
      }
    }
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
}

export class Workbench {
  constructor(page, name, folder) {
    this.page = page;
    this.name = name;
    this.folder = folder;
    this.pictures = 0;
  }

  async open(address) {
    await this.page.goto(`${address}/?folder=${encodeURIComponent(this.folder)}`);
    await this.page.locator(".explorer-folders-view .monaco-list-row").first().waitFor();
  }

  /** Into the folder of artefacts, numbered in the order in which they were taken. */
  async screenshot(what) {
    mkdirSync(process.env.ARTEFACTS, { recursive: true });
    this.pictures += 1;
    const file = `${this.name}-${String(this.pictures).padStart(2, "0")}-${what}.png`;
    await this.page.screenshot({ path: path.join(process.env.ARTEFACTS, file) });
  }

  // The keyboard

  /** Presses a key until something is to be seen: what has the focus may still be on its way. */
  async pressUntil(key, locator) {
    await until(`${key} shows something`, async () => {
      await this.page.keyboard.press(key);
      return appears(locator, ATTEMPT_MS);
    });
  }

  /** Types into the box that all quick choices have in common, and takes what is offered under a name. */
  async quickly(key, text, name = text) {
    const box = this.page.locator(".quick-input-widget input[type=text]").first();
    const row = this.page.locator(".quick-input-list .monaco-list-row", { hasText: name }).first();
    await until(`“${name}” is offered`, async () => {
      if (!(await box.isVisible())) {
        await this.page.keyboard.press(key);
        // A workbench that has only just been drawn takes no key.
        await box.waitFor({ timeout: ATTEMPT_MS / 4 });
      }
      await box.fill(text);
      return appears(row, ATTEMPT_MS);
    });
    // The list is filled again when those who are asked have answered: a choice that was made before is lost.
    const chosen = this.page.locator(".quick-input-list .monaco-list-row.focused", { hasText: name });
    await until(`“${name}” is the choice`, async () => {
      if (await appears(chosen, 500)) {
        return true;
      }
      await this.page.keyboard.press("ArrowDown");
      return false;
    }, { rests: 3 });
    await this.#enter(chosen, row);
  }

  /** Presses Enter until what was chosen is gone. Not until the box is: what was chosen may ask something else in it. */
  async #enter(chosen, shown) {
    await until("the choice is taken", async () => {
      // An Enter that was heard late has taken it already.
      if (await chosen.first().isVisible()) {
        await this.page.keyboard.press("Enter");
      }
      return disappears(shown, 4 * ATTEMPT_MS);
    });
  }

  /** A command, by its title in the palette. */
  async run(title) {
    await this.quickly("F1", `>${title}`, title);
  }

  async offered(title) {
    const box = this.page.locator(".quick-input-widget input[type=text]").first();
    await this.page.keyboard.press("F1");
    await box.fill(`>${title}`);
    const first = this.page.locator(".quick-input-list .monaco-list-row").first();
    await first.waitFor();
    const has = await appears(this.page.locator(".quick-input-list .monaco-list-row", { hasText: title }).first(), 1000);
    await this.page.keyboard.press("Escape");
    return has;
  }

  async openFile(file) {
    const name = path.basename(file);
    await this.quickly("Control+P", file, name);
    await this.page.locator(`.tab[data-resource-name="${name}"].active`).waitFor();
    await this.page.locator(".editor-instance .view-line").first().waitFor();
  }

  async goToLine(line, column = 1) {
    const box = this.page.locator(".quick-input-widget input[type=text]").first();
    await until(`the cursor is on line ${line}`, async () => {
      await this.page.keyboard.press("Control+G");
      await box.waitFor({ timeout: ATTEMPT_MS });
      await box.fill(`:${line}:${column}`);
      await this.page.keyboard.press("Enter");
      await box.waitFor({ state: "hidden", timeout: ATTEMPT_MS });
      return (await this.cursor()).line === line;
    });
  }

  /** Writes over the whole of a line, and leaves the file saved. */
  async replaceLine(line, text) {
    await this.goToLine(line);
    await this.page.keyboard.press("Home");
    await this.page.keyboard.press("Shift+End");
    await this.page.keyboard.insertText(text);
    await this.page.keyboard.press("Escape");
    await this.page.keyboard.press("Control+S");
    await this.page.locator(".tab.active.dirty").waitFor({ state: "detached" });
  }

  // The editor

  async cursor() {
    const text = await this.page.locator("#status\\.editor\\.selection").innerText();
    const [, line, column] = /(\d+)\D+(\d+)/.exec(text) ?? [];
    return { line: Number(line), column: Number(column) };
  }

  activeFile() {
    return this.page.locator(".tab.active[data-resource-name]").first().getAttribute("data-resource-name");
  }

  squiggles() {
    return this.page.locator(".editor-instance .squiggly-warning");
  }

  /** The line of the file on which a decoration stands: its top edge is that of the line's number. */
  async lineOf(decoration) {
    const top = (box) => Math.round(box.y);
    const wanted = await decoration.boundingBox();
    if (wanted === null) {
      return undefined;
    }
    for (const number of await this.page.locator(".editor-instance .line-numbers").all()) {
      const box = await number.boundingBox();
      if (box !== null && top(box) <= top(wanted) + 2 && top(wanted) < top(box) + box.height - 2) {
        return Number(await number.innerText());
      }
    }
    return undefined;
  }

  /** Rests with the mouse on something until a hover has a text. Returns all that it says. */
  async hover(target, text) {
    const hover = this.page.locator(".monaco-hover:visible", { hasText: text }).first();
    await until(`the hover says “${text}”`, async () => {
      const box = await target.boundingBox();
      if (box === null) {
        return false;
      }
      const { x, y, width, height } = box;
      await this.page.mouse.move(x + width / 2, y + height + 200);
      await this.page.mouse.move(x + width / 2, y + height / 2, { steps: 4 });
      return appears(hover, ATTEMPT_MS);
    });
    return hover.innerText();
  }

  /** Puts the mouse where it hovers over nothing. */
  async moveMouseAway() {
    await this.page.mouse.move(WINDOW.width - 30, 10);
    await this.page.keyboard.press("Escape");
  }

  /** The titles that the light bulb offers at the cursor; the menu stays open. */
  async quickFixes() {
    const rows = this.page.locator(".action-widget .monaco-list-row.action");
    await until("quick fixes are offered", async () => {
      await this.page.keyboard.press("Control+.");
      return appears(rows.first(), ATTEMPT_MS);
    });
    return (await rows.allInnerTexts()).map((title) => title.trim());
  }

  /** Takes a quick fix at the cursor. */
  async quickFix(title) {
    const chosen = this.page.locator(".action-widget .monaco-list-row.focused", { hasText: title }).first();
    await until(`the quick fix “${title}” is offered`, async () => {
      const titles = await this.quickFixes();
      if (titles.some((offered) => offered.includes(title))) {
        return true;
      }
      await this.page.keyboard.press("Escape");
      return false;
    });
    await until(`the quick fix “${title}” is the choice`, async () => {
      if (await appears(chosen, 300)) {
        return true;
      }
      await this.page.keyboard.press("ArrowDown");
      return false;
    });
    await this.#enter(chosen, this.page.locator(".action-widget"));
  }

  /** What the editor shows inside itself, in the place of a jump to another file. */
  peeked() {
    return this.page.locator(".peekview-widget").first();
  }

  // Debugging

  /** Starts a launch configuration, once, and waits until it is debugged; a Python program, until snapshots are offered. */
  async startDebugging(configuration, { isPython = true } = {}) {
    await this.quickly("Control+P", `debug ${configuration}`, configuration);
    await this.page.locator(".debug-toolbar").waitFor();
    if (isPython) {
      await this.statusBarItem("Heap Snapshot").waitFor();
    }
  }

  /** Waits until the extension knows so many processes: the item in the status bar says so to whoever hears it. */
  async waitForProcesses(count) {
    await this.page.locator(`.statusbar-item [aria-label*="${count} processes"], .statusbar-item[aria-label*="${count} processes"]`).first().waitFor();
  }

  async stopDebugging() {
    const toolbar = this.page.locator(".debug-toolbar");
    await until("debugging has ended", async () => {
      await this.page.keyboard.press("Shift+F5");
      return disappears(toolbar, ATTEMPT_MS);
    });
  }

  /** Sets a breakpoint on the line of the cursor, or takes it away. */
  async toggleBreakpoint() {
    const marks = this.page.locator(".editor-instance .codicon-debug-breakpoint, .editor-instance .codicon-debug-breakpoint-unverified");
    const before = await marks.count();
    await this.page.keyboard.press("F9");
    await until("the breakpoint has changed", async () => (await marks.count()) !== before);
  }

  async waitUntilPaused() {
    await this.page.locator(".editor-instance .codicon-debug-stackframe").first().waitFor();
  }

  async resume() {
    const arrow = this.page.locator(".editor-instance .codicon-debug-stackframe");
    await this.page.locator(".debug-toolbar .codicon-debug-continue").first().click();
    await arrow.first().waitFor({ state: "hidden" });
  }

  /** From now on counts how often the debugger stops the program: its toolbar offers to continue then. */
  async countStops() {
    await this.page.evaluate(() => {
      window.stopsSeen = 0;
      let stopped = false;
      const look = () => {
        const now = document.querySelector(".debug-toolbar .codicon-debug-continue") !== null;
        window.stopsSeen += now && !stopped ? 1 : 0;
        stopped = now;
      };
      new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["class"] });
    });
  }

  stops() {
    return this.page.evaluate(() => window.stopsSeen);
  }

  /** A button of the debug toolbar, by its title. */
  debugButton(title) {
    return this.page.locator(`.debug-toolbar .action-label[aria-label*="${title}"]`).first();
  }

  statusBarItem(text) {
    return this.page.locator(".statusbar-item", { hasText: text }).first();
  }

  /** What the debug console shows: its rows, of which it has only those that fit. */
  async console() {
    const view = this.page.locator(".repl");
    if (!(await view.first().isVisible())) {
      await this.run("Debug Console: Focus on Debug Console View");
      await view.first().waitFor();
    }
    return this.page.locator(".repl .monaco-list-row").allInnerTexts();
  }

  // The extension

  /** The milliseconds that the extension needed to become active, as VS Code reports it; nothing if it is not. */
  async activation() {
    await this.run("Developer: Show Running Extensions");
    const rows = this.page.locator(".runtime-extensions-editor .monaco-list-row");
    await rows.first().waitFor();
    // The slowest stand first, and only those that fit are drawn.
    const texts = [];
    await rows.first().hover();
    await until("the last extension is seen", async () => {
      texts.push(...(await rows.allInnerTexts()).map(inOneLine));
      await this.page.mouse.wheel(0, 300);
      return this.page.locator('.runtime-extensions-editor .monaco-list-row[data-last-element="true"]').isVisible();
    });
    texts.push(...(await rows.allInnerTexts()).map(inOneLine));
    // It is a window of its own, or an editor beside others.
    await this.page.keyboard.press("Escape");
    if (await rows.first().isVisible()) {
      await this.run("View: Close Editor");
    }
    const ours = texts.find((text) => text.startsWith("heldby "));
    const [, milliseconds] = /(\d+)\s?ms/.exec(ours ?? "") ?? [];
    return milliseconds && Number(milliseconds);
  }

  // The sidebar

  async showDebugSidebar() {
    const pane = this.page.locator(".pane-header", { hasText: "Call Stack" }).first();
    if (!(await pane.isVisible())) {
      await this.pressUntil("Control+Shift+D", pane);
    }
  }

  async breakpoints() {
    return this.page.locator(".debug-breakpoints .monaco-list-row").allInnerTexts();
  }

  /** A pane of the sidebar, unfolded. */
  async pane(title) {
    const header = this.page.locator(`.pane-header[aria-label^="${title}" i]`).first();
    await header.waitFor();
    if ((await header.getAttribute("aria-expanded")) === "false") {
      await header.click();
    }
    return this.page.locator(".pane", { has: header }).last();
  }

  /** Makes room for the other panes. */
  async fold(title) {
    const header = this.page.locator(`.pane-header[aria-label^="${title}" i]`).first();
    if ((await header.getAttribute("aria-expanded")) === "true") {
      await header.click();
    }
  }

  /** The rows of a pane. */
  async rows(title) {
    const pane = await this.pane(title);
    return (await pane.locator(".monaco-list-row").allInnerTexts()).map(inOneLine);
  }

  /** Chooses from the menu that the other mouse button opens. */
  async chooseFromMenu(target, title) {
    // A menu lies in a shadow tree, which locators look into by themselves.
    const item = this.page.locator(".monaco-menu .action-label", { hasText: title }).first();
    await until(`the menu offers “${title}”`, async () => {
      await target.click({ button: "right", timeout: ATTEMPT_MS });
      if (await appears(item, ATTEMPT_MS)) {
        return true;
      }
      await this.page.keyboard.press("Escape");
      return false;
    });
    // A menu that has only just opened takes no click; one that has gone has taken it.
    await until(`“${title}” is chosen`, async () => {
      if (await item.isVisible()) {
        await item.click({ timeout: ATTEMPT_MS }).catch(() => {});
      }
      return disappears(item, ATTEMPT_MS / 4);
    });
  }

  /** The rows of VS Code's References view. */
  references() {
    return this.page.locator('[id="workbench.view.extension.references-view"] .monaco-list-row');
  }

  // Messages

  /** All messages that were shown, each with its severity, from the `first` on. */
  async notificationsSeen(first = 0) {
    return (await this.page.evaluate(() => window.notificationsKept)).slice(first);
  }

  /** Those that were warnings or errors. */
  async troubles() {
    const seen = await this.notificationsSeen();
    return seen.filter(({ severity }) => severity !== "info").map(({ text }) => text);
  }

  /** Waits until a message has been shown since there were `first`. */
  async hasBeenTold(text, first = 0) {
    await until(`a message says ${text}`, async () => (await this.notificationsSeen(first)).some((message) => text.test(message.text)));
  }

  /** A button of a message. */
  notificationButton(text, title) {
    const message = this.page.locator(".notifications-toasts .notification-list-item", { hasText: text });
    return message.locator(".monaco-button", { hasText: title }).first();
  }

  async notifications() {
    const texts = await this.page.locator(".notifications-toasts .notification-list-item").allInnerTexts();
    return texts.map(inOneLine);
  }
}

export function inOneLine(text) {
  return text.replaceAll(/\s+/g, " ").trim();
}

function disappears(locator, timeout) {
  return locator.first().waitFor({ state: "hidden", timeout }).then(() => true, () => false);
}

function appears(locator, timeout) {
  return locator.first().waitFor({ timeout }).then(() => true, () => false);
}
