//! Stores through imports, aliases, parameters and accessors.

use crate::fixture::{attribute, check, global, items};

#[test]
fn imports_of_all_kinds() {
    check(
        &items(global("shop.state.SEEN")),
        "
#- shop/__init__.py
from .state import SEEN as KNOWN
#- shop/state.py
SEEN = set()
#^^^^^^^^^^^ definition
#- shop/views.py
from .state import SEEN
from . import state
def view(x):
    SEEN.add(x)
#   ^^^^^^^^^^^ store
    state.SEEN.add(x)
#   ^^^^^^^^^^^^^^^^^ store
#- main.py
import shop.state
import shop.state as st
from shop import KNOWN
from shop.state import *
def go(x):
    shop.state.SEEN.add(x)
#   ^^^^^^^^^^^^^^^^^^^^^^ store
    st.SEEN.add(x)
#   ^^^^^^^^^^^^^^ store
    KNOWN.add(x)
#   ^^^^^^^^^^^^ store
    SEEN.add(x)
#   ^^^^^^^^^^^ store
#- unrelated.py
from elsewhere import SEEN
SEEN.add(1)
",
    );
}

#[test]
fn local_aliases() {
    check(
        &items(global("m.BY_KEY")).depth(2),
        "
#- m.py
BY_KEY = {}
#^^^^^^^^^^ definition
def one(k, v):
    mine = BY_KEY[k]
    mine.append(v)
#   ^^^^^^^^^^^^^^ store
def two(v):
    for each in BY_KEY.values():
        each.append(v)
#       ^^^^^^^^^^^^^^ store
    for k, each in list(BY_KEY.items()):
        each.append(v)
#       ^^^^^^^^^^^^^^ store
def three(k, v):
    if (mine := BY_KEY.get(k)) is not None:
        mine.append(v)
#       ^^^^^^^^^^^^^^ store
def four(k, v):
    push = BY_KEY[k].append
    push(v)
#   ^^^^^^^ store
def five(k, v):
    (BY_KEY.get(k) or []).append(v)
#   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ store
",
    );
}

#[test]
fn handed_to_a_helper() {
    check(
        &items(global("m.LOG")),
        "
#- m.py
from helpers import note
LOG = []
#^^^^^^^ definition
def go(x):
    note(x, LOG)
#   ^^^^^^^^^^^^ caller
    harmless(LOG)
def harmless(log):
    return len(log)
#- helpers.py
def note(x, log):
    log.append(x)
#   ^^^^^^^^^^^^^ store
",
    );
}

#[test]
fn default_of_a_parameter() {
    check(
        &items(global("m.CACHE")),
        "
#- m.py
CACHE = {}
#^^^^^^^^^ definition
def go(x, cache=CACHE, *, keep: dict = {}):
    cache[x] = x
#   ^^^^^^^^^^^^ store
    keep[x] = x
",
    );
}

#[test]
fn kept_in_an_attribute() {
    check(
        &items(global("m.JOBS")),
        "
#- m.py
JOBS = []
#^^^^^^^^ definition
class Runner:
    def __init__(self):
        self.jobs = JOBS
    def run(self, job):
        self.jobs.append(job)
#       ^^^^^^^^^^^^^^^^^^^^^ store
",
    );
}

#[test]
fn accessor_function_and_property() {
    check(
        &items(attribute(&["m:App"], "_items")),
        "
#- m.py
class App:
    def __init__(self):
        self._items = []
#       ^^^^^^^^^^^^^^^^ definition
    @property
    def items(self):
        return self._items
    def all(self):
        return self._items
    def one(self, x):
        self.items.append(x)
#       ^^^^^^^^^^^^^^^^^^^^ store
    def two(self, x):
        self.all().append(x)
#       ^^^^^^^^^^^^^^^^^^^^ store
",
    );
}

#[test]
fn bound_method_as_callback() {
    check(
        &items(global("m.SEEN")),
        "
#- m.py
SEEN = []
#^^^^^^^^ definition
def go(stream):
    stream.subscribe(SEEN.append)
#   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ store
",
    );
}

#[test]
fn instance_of_a_known_class() {
    check(
        &items(attribute(&["m:Box"], "things")),
        "
#- m.py
class Box:
    def __init__(self):
        self.things = []
#       ^^^^^^^^^^^^^^^^ definition
class Chest:
    def __init__(self):
        self.things = []
BOX = Box()
CHEST = Chest()
def go(x, chest: Chest):
    BOX.things.append(x)
#   ^^^^^^^^^^^^^^^^^^^^ store
    CHEST.things.append(x)
    chest.things.append(x)
",
    );
}

#[test]
fn items_of_a_shallow_copy_are_shared_the_copy_is_not() {
    check(
        &items(global("m.DEFAULTS")),
        "
#- m.py
import copy
DEFAULTS = {'hooks': [], 'name': ''}
#^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ definition
class Client:
    def __init__(self, **options):
        self.options = {**DEFAULTS, **options}
        self.options['name'] = options['name']
        self.options['hooks'].append(self)
#       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ store
def one(x):
    options = DEFAULTS.copy()
    options['more'] = x
    options['hooks'].append(x)
#   ^^^^^^^^^^^^^^^^^^^^^^^^^^ store
def two(x):
    options = copy.copy(DEFAULTS)
    options['hooks'].append(x)
#   ^^^^^^^^^^^^^^^^^^^^^^^^^^ store
def three(x):
    options = dict(DEFAULTS, name=x)
    options.setdefault('more', [])
    options['hooks'].append(x)
#   ^^^^^^^^^^^^^^^^^^^^^^^^^^ store
def four(x):
    options = copy.deepcopy(DEFAULTS)
    options['hooks'].append(x)
def five():
    fill(**DEFAULTS)
def fill(hooks, name):
    hooks.append(name)
",
    );
}

#[test]
fn what_may_be_a_copy_is_taken_for_the_container() {
    check(
        &items(global("m.ROWS")),
        "
#- m.py
ROWS = []
#^^^^^^^^ definition
class Table:
    def __init__(self, fresh):
        if fresh:
            self.rows = list(ROWS)
        else:
            self.rows = ROWS
    def add(self, row):
        self.rows.append(row)
#       ^^^^^^^^^^^^^^^^^^^^^ store
class Report:
    def __init__(self):
        self.rows = list(ROWS)
    def add(self, row):
        self.rows.append(row)
def one(row, fresh):
    rows = list(ROWS) if fresh else ROWS
    rows.append(row)
#   ^^^^^^^^^^^^^^^^ store
def two(row):
    rows = list(ROWS)
    rows.append(row)
",
    );
}

#[test]
fn behind_a_proxy() {
    check(
        &items(attribute(&["m:Registry"], "hooks")),
        "
#- m.py
class Proxy:
    def __init__(self, get):
        self._get = get
    def __getattr__(self, name):
        return getattr(self._get(), name)
class Plain:
    pass
class Registry:
    def __init__(self):
        self.hooks = []
#       ^^^^^^^^^^^^^^^ definition
registry = Proxy(lambda: app.registry)
plain = Plain()
def load(x):
    registry.hooks.append(x)
#   ^^^^^^^^^^^^^^^^^^^^^^^^ store
    plain.hooks.append(x)
",
    );
}
