//! Callers of helpers, registration methods and library code.

use crate::fixture::{attribute, check, class_attribute, global, items};

#[test]
fn signal_of_a_library() {
    check(
        &items(attribute(&["dispatch.signal:Signal"], "receivers"))
            .by(global("photos.signals.photo_stored")),
        "
#- lib/dispatch/__init__.py
from .signal import Signal
#- lib/dispatch/signal.py
class Signal:
    def __init__(self):
        self.receivers = []
#       ^^^^^^^^^^^^^^^^^^^ definition
    def connect(self, receiver, weak=True):
        self.receivers.append((id(receiver), receiver))
#       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ store 2
    def send(self):
        pass
#- photos/signals.py
from dispatch import Signal
photo_stored = Signal()
#^^^^^^^^^^^^^^^^^^^^^^ definition
photo_lost = Signal()
#- photos/services.py
from .signals import photo_stored, photo_lost
def store(photo):
    def save_preview(sender):
        return photo
    photo_stored.connect(save_preview, weak=False)
#   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ caller 1
    photo_lost.connect(save_preview)
    photo_stored.send()

@photo_stored.connect
#^^^^^^^^^^^^^^^^^^^^ caller 3
def at_import(sender):
    pass

@receiver(photo_stored)
#^^^^^^^^^^^^^^^^^^^^^^ caller 4
def passed(sender):
    pass
",
    );
}

#[test]
fn queue_method_behind_a_method() {
    check(
        &items(attribute(&["jobs:Queue"], "queue")).by(global("app.QUEUE")),
        "
#- lib/jobs.py
class Queue:
    def __init__(self):
        self.queue = []
#       ^^^^^^^^^^^^^^^ definition
    def put(self, item):
        self._put(item)
    def _put(self, item):
        self.queue.append(item)
#       ^^^^^^^^^^^^^^^^^^^^^^^ store 2
#- app.py
import jobs
QUEUE = jobs.Queue()
#^^^^^^^^^^^^^^^^^^^ definition
def view(request):
    QUEUE.put(request)
#   ^^^^^^^^^^^^^^^^^^ caller 1
",
    );
}

#[test]
fn container_class_with_operators() {
    check(
        &items(attribute(&["box:Box"], "_data")).by(global("app.BOX")),
        "
#- box.py
class Box:
    def __init__(self):
        self._data = {}
#       ^^^^^^^^^^^^^^^ definition
    def __setitem__(self, k, v):
        self._data[k] = v
#       ^^^^^^^^^^^^^^^^^ store 2
#- app.py
from box import Box
BOX = Box()
#^^^^^^^^^^ definition
def view(request):
    BOX[request.id] = request
#   ^^^^^^^^^^^^^^^^^^^^^^^^^ caller 1
",
    );
}

#[test]
fn helper_used_as_decorator_in_a_constructor() {
    check(
        &items(global("sdk.scope.processors")).held(&["processor"]),
        "
#- lib/sdk/scope.py
processors = []
#^^^^^^^^^^^^^^ definition
def add_processor(processor):
    processors.append(processor)
#   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ store 2
#- lib/sdk/otel.py
from sdk.scope import add_processor
class SpanProcessor:
    def __init__(self):
        @add_processor
#       ^^^^^^^^^^^^^^ caller 3
        def processor(event):
            return self
#- app.py
from sdk.otel import SpanProcessor
def inject():
    return SpanProcessor().spans
#          ^^^^^^^^^^^^^^^ caller 1
",
    );
}

#[test]
fn self_registering_class() {
    check(
        &items(class_attribute(&["refs:finalize"], "_registry")),
        "
#- lib/refs.py
class finalize:
    _registry = {}
#   ^^^^^^^^^^^^^^ definition
    def __init__(self, obj):
        info = obj
        self._registry[self] = info
#       ^^^^^^^^^^^^^^^^^^^^^^^^^^^ store 2
#- app.py
import refs
def view(request):
    refs.finalize(request)
#   ^^^^^^^^^^^^^^^^^^^^^^ caller 1
",
    );
}

#[test]
fn registration_helper_of_the_user() {
    check(
        &items(global("m.HANDLERS")),
        "
#- m.py
HANDLERS = {}
#^^^^^^^^^^^^ definition
def on(name):
    def keep(function):
        HANDLERS[name] = function
#       ^^^^^^^^^^^^^^^^^^^^^^^^^ store 1
        return function
    return keep
#- n.py
from m import on
@on('start')
#^^^^^^^^^^^ caller 2
def start():
    pass
",
    );
}

#[test]
fn of_many_callers_the_one_that_keeps_what_is_held() {
    check(
        &items(global("sdk.scope.processors")).held(&["keep_span"]),
        "
#- lib/sdk/scope.py
processors = []
#^^^^^^^^^^^^^^ definition
def add_processor(processor):
    processors.append(processor)
#   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ store 1
#- lib/sdk/a.py
from sdk.scope import add_processor
def setup():
    @add_processor
    def other(event):
        pass
#- lib/sdk/b.py
from sdk.scope import add_processor
def setup_spans():
    @add_processor
#   ^^^^^^^^^^^^^^ caller 2
    def keep_span(event):
        pass
",
    );
}
