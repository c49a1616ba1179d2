// VS Code as its user has it: a window, a keyboard and a mouse. Everything a test does or reads goes through what is on the screen.

import { mkdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { test } from "node:test";

import { startServer } from "./server.mjs";
import { until } from "./waiting.mjs";

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
  page.setDefaultTimeout(45_000);
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
    const { browser, page } = await openBrowser();
    const workbench = new Workbench(page, slug, folder);
    try {
      await workbench.open(server.address);
      await body(workbench, { folder, home, say: (line) => context.diagnostic(line), ...more });
    } catch (error) {
      await workbench.screenshot("failed").catch(() => {});
      const shown = await workbench.notifications().catch(() => []);
      // The program that is debugged would outlive its debugger.
      await page.keyboard.press("Shift+F5").catch(() => {});
      await page.locator(".debug-toolbar").waitFor({ state: "hidden", timeout: ATTEMPT_MS }).catch(() => {});
      context.diagnostic(`notifications: ${shown.join(" | ") || "none"}`);
      context.diagnostic(server.said());
      throw error;
    } finally {
      await browser.close();
      await server.stop();
    }
  });
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
    let rest = 0;
    await until(`“${name}” is the choice`, async () => {
      if (await appears(chosen, 500)) {
        rest += 1;
        return rest > 3;
      }
      rest = 0;
      await this.page.keyboard.press("ArrowDown");
      return false;
    });
    await this.page.keyboard.press("Enter");
    // Not the box: what was chosen may ask something else in it.
    await row.waitFor({ state: "hidden" });
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
    const [, line, column] = /(\d+)\D+(\d+)/.exec(text);
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
      const { x, y, width, height } = await target.boundingBox();
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
    await this.page.keyboard.press("Enter");
    await this.page.locator(".action-widget").first().waitFor({ state: "hidden" });
  }

  /** What the editor shows inside itself, in the place of a jump to another file. */
  peeked() {
    return this.page.locator(".peekview-widget").first();
  }

  // Debugging

  async startDebugging(configuration) {
    const toolbar = this.page.locator(".debug-toolbar");
    await until(`“${configuration}” is debugged`, async () => {
      await this.quickly("Control+P", `debug ${configuration}`, configuration);
      return appears(toolbar, 10 * ATTEMPT_MS);
    });
  }

  async stopDebugging() {
    const toolbar = this.page.locator(".debug-toolbar");
    await until("debugging has ended", async () => {
      await this.page.keyboard.press("Shift+F5");
      return toolbar.waitFor({ state: "hidden", timeout: ATTEMPT_MS }).then(() => true, () => false);
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
      await target.click({ button: "right" });
      if (await appears(item, ATTEMPT_MS)) {
        return true;
      }
      await this.page.keyboard.press("Escape");
      return false;
    });
    // A menu that has only just opened takes no click.
    await until(`“${title}” is chosen`, async () => {
      await item.click({ timeout: ATTEMPT_MS });
      return item.waitFor({ state: "hidden", timeout: ATTEMPT_MS / 4 }).then(() => true, () => false);
    });
  }

  /** The rows of VS Code's References view. */
  references() {
    return this.page.locator('[id="workbench.view.extension.references-view"] .monaco-list-row');
  }

  // Messages

  /** From now on keeps what is shown. */
  async collectNotifications() {
    await this.page.evaluate(() => {
      window.notificationsSeen = new Set();
      const look = () => {
        for (const item of document.querySelectorAll(".notifications-toasts .notification-list-item")) {
          window.notificationsSeen.add(item.innerText);
        }
      };
      look();
      new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
    });
  }

  /** What was shown since it is kept. */
  async notificationsSeen() {
    return (await this.page.evaluate(() => [...window.notificationsSeen])).map(inOneLine);
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

function appears(locator, timeout) {
  return locator.first().waitFor({ timeout }).then(() => true, () => false);
}
