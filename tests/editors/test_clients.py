"""heldby lsp and a client that others wrote, over standard input and output, with the abilities of several editors.

    HELDBY=…/heldby DUMPS='…/1.heldby …' RECORDINGS=folder python -m pytest test_clients.py
"""
import ast
import asyncio
import json
import os
import pathlib
import sys

import pytest
import pytest_lsp
from lsprotocol import types
from pytest_lsp import client_capabilities

HERE = pathlib.Path(__file__).resolve().parent
GALLERY = HERE.parent / "demo" / "gallery"
TRUTH = json.loads((HERE.parent / "demo" / "truth.json").read_text())
STORE, HOLDER = TRUTH["stores"][0], TRUTH["holder"]
PATH = GALLERY / STORE["file"]
DUMPS = os.environ["DUMPS"].split()
LOG = pathlib.Path(os.environ["RECORDINGS"]) / "pytest-lsp.jsonl"
SERVER = [sys.executable, str(HERE / "proxy.py"), "LOG", "--", os.environ["HELDBY"], "lsp"]
EDITORS = ["neovim", "visual_studio_code", "emacs"]


def server_command(name):
    log = LOG.with_name("pytest-lsp-%s.jsonl" % name)
    log.unlink(missing_ok=True)
    return [str(log) if word == "LOG" else word for word in SERVER]


class Session:
    """A session of one client, from `initialize` to the server's end."""

    def __init__(self, name):
        self.name = name

    async def __aenter__(self):
        self.client = pytest_lsp.make_test_lsp_client()
        await self.client.start_io(*server_command(self.name))
        params = types.InitializeParams(
            capabilities=client_capabilities(self.name),
            root_uri=GALLERY.as_uri(),
            workspace_folders=[types.WorkspaceFolder(uri=GALLERY.as_uri(), name="gallery")],
        )
        self.initialized = await self.client.initialize_session(params)
        return self

    async def __aexit__(self, *_):
        await self.client.shutdown_session()
        # The library ends the server's process if it does not end by itself; it did.
        await self.client.stop()

    async def warning(self, is_wanted=lambda diagnostic: True):
        """Waits for a warning in the document."""
        for _ in range(600):
            for diagnostic in self.client.diagnostics.get(PATH.as_uri(), ()):
                if diagnostic.severity == types.DiagnosticSeverity.Warning and is_wanted(diagnostic):
                    return diagnostic
            await asyncio.sleep(0.05)
        raise AssertionError("no such warning: %r" % self.client.diagnostics)


@pytest.mark.asyncio
@pytest.mark.parametrize("name", EDITORS)
async def test_from_the_warning_to_the_holder(name):
    async with Session(name) as session:
        client = session.client
        uri = PATH.as_uri()
        text = PATH.read_text()
        client.text_document_did_open(types.DidOpenTextDocumentParams(types.TextDocumentItem(uri, "python", 1, text)))
        dumps = [pathlib.Path(dump).as_uri() for dump in DUMPS]
        answer = await client.workspace_execute_command_async(types.ExecuteCommandParams("heldby.load", dumps))
        assert len(of(answer, "loaded")) == 3 and of(answer, "problems") == []
        warning = await session.warning()
        assert warning.source == "heldby" and warning.range.start.line == STORE["line"] - 1

        document = types.TextDocumentIdentifier(uri)
        hover = await client.text_document_hover_async(types.HoverParams(document, warning.range.start))
        assert HOLDER["path"] in hover.contents.value

        actions = await client.text_document_code_action_async(
            types.CodeActionParams(document, warning.range, types.CodeActionContext([warning]))
        )
        go = next(action for action in actions if action.title.startswith("Go to holder"))
        # The library takes an action that has a command for a command, and makes a text of the command.
        command = ast.literal_eval(go.command)
        params = types.ExecuteCommandParams(command["command"], command["arguments"])
        place = await client.workspace_execute_command_async(params)
        window = client_capabilities(name).window
        if window and window.show_document and window.show_document.support:
            for _ in range(200):
                if client.shown_documents:
                    break
                await asyncio.sleep(0.05)
            assert client.shown_documents[0].uri == uri
            assert client.shown_documents[0].selection.start.line == HOLDER["line"] - 1
        else:
            assert of(of(of(place, "range"), "start"), "line") == HOLDER["line"] - 1

        # A line above: the mark moves.
        start = types.Position(0, 0)
        change = types.TextDocumentContentChangePartial(range=types.Range(start, start), text="# new\n")
        client.text_document_did_change(
            types.DidChangeTextDocumentParams(types.VersionedTextDocumentIdentifier(version=2, uri=uri), [change])
        )
        await session.warning(lambda diagnostic: diagnostic.range.start.line == STORE["line"])

        lenses = await client.text_document_code_lens_async(types.CodeLensParams(document))
        hints = await client.text_document_inlay_hint_async(
            types.InlayHintParams(document, types.Range(start, types.Position(50, 0)))
        )
        assert not lenses and not hints

        findings = await client.protocol.send_request_async("heldby/findings", {})
        finding = of(findings, "findings")[0]
        assert of(finding, "accessPath").startswith(HOLDER["path"])
        tree = await client.protocol.send_request_async("heldby/referrers", {"finding": of(finding, "id")})
        assert of(tree, "type") in TRUTH["held"] and of(tree, "referrers")


def of(answer, name):
    """A member of an answer that has no type: the library makes objects of them."""
    return answer[name] if isinstance(answer, dict) else getattr(answer, name)
