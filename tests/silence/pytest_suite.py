"""pytest, which runs a suite again and again in one process."""
import contextlib
import io
import os
import tempfile

import pytest

SUITE = """
import logging, pytest

@pytest.fixture(params=[1, 2, 3])
def number(request, tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("NUMBER", str(request.param))
    yield request.param

class TestNumbers:
    @pytest.mark.parametrize("other", range(4))
    def test_sum(self, number, other, capsys):
        print(number)
        logging.getLogger("numbers").warning("%d", other)
        assert number + other >= number

@pytest.mark.xfail
def test_fails():
    assert {"a": [1, 2]} == {"a": [1, 3]}
"""
folder = tempfile.mkdtemp()
suite = os.path.join(folder, "test_numbers.py")
with open(suite, "w") as file:
    file.write(SUITE)


def step(n):
    for _ in range(max(n // 10, 1)):
        with contextlib.redirect_stdout(io.StringIO()):
            assert pytest.main(["-q", "-p", "no:cacheprovider", "--basetemp", os.path.join(folder, "work"), suite]) == 0
