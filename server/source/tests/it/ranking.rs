//! Which store comes first.

use crate::fixture::{check, global, items};

#[test]
fn what_is_held_comes_first() {
    check(
        &items(global("m.ALL")).held(&["Step", "Image"]),
        "
#- m.py
ALL = []
#^^^^^^^ definition
ALL.append('first')
#^^^^^^^^^^^^^^^^^^ store 6
def go(thing, step: 'Step'):
    ALL.update(thing)
#   ^^^^^^^^^^^^^^^^^ store 5
    ALL.append(thing)
#   ^^^^^^^^^^^^^^^^^ store 4
    image = Image(thing)
    ALL.append(image)
#   ^^^^^^^^^^^^^^^^^ store 1
    ALL.append((1, Step(thing)))
#   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ store 2
    ALL.append(step)
#   ^^^^^^^^^^^^^^^^ store 3
",
    );
}
