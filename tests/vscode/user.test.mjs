// The whole way of a user: a server that leaks is debugged, three snapshots name the line, the holder is found, the leak is mended,
// and three snapshots of the mended server find nothing.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";

import { Gallery, truth } from "./gallery.mjs";
import { expectWarning, takeSnapshot } from "./snapshot.mjs";
import { until } from "./waiting.mjs";
import { workbenchTest } from "./workbench.mjs";
import { lineWith } from "./workspace.mjs";

const [store] = truth.stores;
const CALLER = "photos/services.py";
const MENDER = "progress/signals.py";

/** Uploads before each snapshot. The first fill the application's bounded caches, the second those of the libraries: none grows in both intervals. */
const UPLOADS = [48, 24, 12];

async function prepare(home) {
  const gallery = await Gallery.create(path.join(home, "gallery"));
  return { folder: gallery.folder, gallery };
}

workbenchTest("a leak is found and mended", prepare, async (workbench, { gallery, folder, say }) => {
  // A breakpoint that is never reached: no image of the test is refused.
  await workbench.openFile(CALLER);
  await workbench.goToLine(lineWith(folder, CALLER, "registry.finish(upload_id)"));
  await workbench.toggleBreakpoint();
  await workbench.showDebugSidebar();
  await workbench.startDebugging("Gallery");
  await gallery.answers();
  await workbench.console();
  await workbench.openFile(store.file);
  await workbench.countStops();
  await snapshotsUnderLoad(workbench, gallery, ["palette", "toolbar", "statusBar"], say);

  await expectWarning(workbench, store.line);
  const hover = await workbench.hover(workbench.squiggles().first(), truth.holder.path);
  assert.match(hover, /Tracker/);
  await workbench.screenshot("hover");
  await workbench.moveMouseAway();
  await until("the view names the holder", async () => (await workbench.rows("heldby")).some((row) => row.includes("_active")));
  await workbench.run("heldby: Sort Findings by Growth");
  const view = await workbench.pane("heldby");
  await view.locator(".pane-header", { hasText: "by growth" }).waitFor();
  await workbench.screenshot("view");
  // As it is read aloud.
  const finding = view.locator('.monaco-list-row[aria-label^="warning, "]', { hasText: "_active" }).first();
  await workbench.openFile(CALLER);
  await finding.click();
  await until("the cursor is on the store", async () => (await workbench.cursor()).line === store.line);

  await workbench.goToLine(store.line, 12);
  await workbench.run("heldby: Peek Holders and Stores");
  const peeked = workbench.page.locator(".peekview-widget", { hasText: path.basename(truth.holder.file) });
  await peeked.first().waitFor();
  await workbench.screenshot("peek");
  await workbench.page.keyboard.press("Escape");
  await peeked.first().waitFor({ state: "hidden" });

  await workbench.quickFix("Show referrers");
  await until("the referrers name the holder", async () =>
    (await workbench.references().allInnerTexts()).some((row) => row.includes("_active")),
  );
  await workbench.showDebugSidebar();
  await workbench.openFile(store.file);
  await workbench.goToLine(store.line, 12);
  await workbench.quickFix("Go to holder");
  await until("the cursor is on the definition", async () => (await workbench.cursor()).line === truth.holder.line);
  await workbench.screenshot("holder");

  await whoHolds(workbench, gallery, folder);
  await workbench.openFile(store.file);
  await expectWarning(workbench, store.line);
  await workbench.stopDebugging();

  await mend(workbench, folder);
  await workbench.openFile(store.file);
  await workbench.startDebugging("Gallery");
  await gallery.answers();
  await snapshotsUnderLoad(workbench, gallery, ["palette", "toolbar", "statusBar"], say);
  await until("the view says that it is fixed", async () =>
    (await workbench.rows("heldby")).some((row) => row.includes(truth.holder.path) && row.includes("fixed")),
  );
  await until("there is no warning any more", async () => (await workbench.squiggles().count()) === 0);
  await workbench.screenshot("mended");
  const listed = (await workbench.pane("heldby")).locator('.monaco-list-row[aria-label^="warning, "]');
  assert.deepEqual(await listed.allInnerTexts(), [], "nothing is warned of in the view either");
  await workbench.stopDebugging();
  assert.deepEqual(await workbench.troubles(), [], "no message warned of anything");
});

async function snapshotsUnderLoad(workbench, gallery, ways, say) {
  for (const [place, way] of ways.entries()) {
    await gallery.upload(UPLOADS[place]);
    const { milliseconds } = await takeSnapshot(workbench, way);
    say(`snapshot ${place + 1} by the ${way}: ${milliseconds} ms`);
  }
}

/** Asks for a variable at a breakpoint who holds it. */
async function whoHolds(workbench, gallery, folder) {
  await workbench.openFile(CALLER);
  await workbench.goToLine(lineWith(folder, CALLER, "card = develop"));
  await workbench.toggleBreakpoint();
  // Whoever uploads does not wait for ever: that it is given up meanwhile is no failure of the test.
  const upload = gallery.upload(1).catch(() => {});
  await workbench.waitUntilPaused();
  const variable = workbench.page.locator(".debug-variables .monaco-list-row", { hasText: /^\s*tracker\b/ }).first();
  await workbench.chooseFromMenu(variable, "Who Holds This?");
  await until("the referrers name the holder", async () => {
    const rows = await workbench.references().allInnerTexts();
    if (rows.some((row) => row.includes("_active"))) {
      return true;
    }
    // The entry of the dictionary stands first; the dictionary's name stands below it.
    await workbench.references().filter({ hasText: "UUID" }).locator(".monaco-tl-twistie").first().click({ timeout: 2500 });
    return false;
  }, { every: 1000 });
  await workbench.screenshot("who-holds");
  await workbench.showDebugSidebar();
  await workbench.openFile(CALLER);
  await workbench.goToLine(lineWith(folder, CALLER, "card = develop"));
  await workbench.toggleBreakpoint();
  await workbench.resume();
  await upload;
}

/** The tracker is kept under a UUID, and forgotten under its text: it has to be forgotten under the UUID. */
async function mend(workbench, folder) {
  const text = "registry.finish(instance.upload_id)";
  await workbench.openFile(MENDER);
  await workbench.replaceLine(lineWith(folder, MENDER, text), "        registry.finish(UUID(instance.upload_id))");
  const first = readFileSync(path.join(folder, MENDER), "utf8").split("\n")[0];
  await workbench.replaceLine(1, `from uuid import UUID\n\n${first}`);
  await until("the file is mended", () => readFileSync(path.join(folder, MENDER), "utf8").startsWith("from uuid import UUID\n"));
}
