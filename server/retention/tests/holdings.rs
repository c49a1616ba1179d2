//! What is found in a series of heaps: each test is a small program's heap, written as text.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod heap_text;

use heldby_heap::Cancel;
use heldby_retention::{Analysis, Holding, How, Territories, holdings};

/// Holdings of a series; `NNN` in the text stands for the numbers, dump by dump.
fn series(text: &str, numbers: &[u64]) -> Vec<Holding> {
    let heaps = numbers
        .iter()
        .map(|number| text.replace("NNN", &number.to_string()));
    series_of(&heaps.collect::<Vec<_>>())
}

/// Holdings of a series of heaps.
fn series_of(texts: &[String]) -> Vec<Holding> {
    let territories = Territories {
        standard_library: vec!["/python".to_owned()],
        library: vec!["/site-packages".to_owned()],
    };
    let mut earlier = Vec::new();
    let mut found = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let heap = heap_text::heap(text);
        let analysis = Analysis::of(&heap, &Cancel::new()).expect("nobody cancels");
        if index + 1 == texts.len() {
            found = holdings(&heap, &analysis, &earlier, &territories, false);
        }
        earlier.push(analysis.counts());
    }
    found
}

/// Access path, holder's kind and path, counts: what a user would read.
fn said(text: &str, numbers: &[u64]) -> Vec<String> {
    series(text, numbers)
        .iter()
        .map(|holding| {
            let holder = holding
                .bindings
                .get(holding.holder)
                .map_or("nobody".to_owned(), |holder| {
                    format!("{} {}", holder.kind.word(), holder.path)
                });
            format!(
                "{} of {}, held by {holder}: {:?}",
                holding.access_path, holding.held_type, holding.counts
            )
        })
        .collect()
}

#[test]
fn a_list_in_a_module_that_grows() {
    let heap = "
module gallery.views
  .UPLOADS: list
    [*]: bytes 4096 xNNN
  .SETTINGS: dict
    ['debug']: bool
";
    assert_eq!(
        said(heap, &[4, 8, 12]),
        [
            "gallery.views.UPLOADS[*] of bytes, held by module-global gallery.views.UPLOADS: [4, 8, 12]"
        ]
    );
    let holding = &series(heap, &[4, 8, 12])[0];
    assert_eq!(holding.retained_bytes, [16384, 32768, 49152]);
    let chain: Vec<String> = holding
        .chain
        .iter()
        .map(|hop| format!("{}{}", hop.object, hop.reference))
        .collect();
    assert_eq!(chain.len(), 2);
    assert!(chain[0].starts_with("list["), "{chain:?}");
    assert_eq!(chain[1], "module gallery.views.UPLOADS");
}

#[test]
fn what_does_not_rise_in_every_interval_is_silent() {
    let heap = "
module gallery.views
  .UPLOADS: list
    [*]: bytes 4096 xNNN
";
    assert_eq!(said(heap, &[4, 8, 8]), [""; 0]);
    assert_eq!(said(heap, &[8, 4, 12]), [""; 0]);
}

#[test]
fn only_the_topmost_of_what_grows_is_told() {
    let heap = "
module app
  .REQUESTS: list
    [*]: app.Request xNNN
      .headers: dict
        ['host']: str x2
      .body: bytes 900
";
    assert_eq!(
        said(heap, &[1, 2, 3]),
        ["app.REQUESTS[*] of app.Request, held by module-global app.REQUESTS: [1, 2, 3]"]
    );
}

#[test]
fn room_that_a_container_keeps_is_no_growth() {
    // As many were in it at once, in between.
    let busy = "
module app
  .BUSY: set NNN
    [*]: app.Request
";
    assert_eq!(said(busy, &[1000, 3000, 9000]), [""; 0]);
    let buffer = "
module app
  .BUFFER: bytearray NNN
";
    assert_eq!(
        said(buffer, &[1000, 3000, 9000]),
        ["app.BUFFER of bytearray, held by module-global app.BUFFER: [1, 1, 1]"]
    );
}

#[test]
fn what_fills_up_flattens() {
    let heap = "
module app
  .RECENT: list
    [*]: bytes 10 xNNN
";
    assert!(series(heap, &[10, 110, 128])[0].flattens);
    assert!(!series(heap, &[10, 110, 210])[0].flattens);
}

#[test]
fn the_holder_inside_a_librarys_class_is_the_binding_of_its_instance() {
    let heap = "
module app.signals
  .stored: lib.dispatch.Signal
    .receivers: list
      [*]: app.Receiver xNNN
module lib.dispatch
";
    assert_eq!(
        said(heap, &[20, 40, 60]),
        [
            "app.signals.stored.receivers[*] of app.Receiver, held by module-global app.signals.stored: [20, 40, 60]"
        ]
    );
    let bindings: Vec<String> = series(heap, &[20, 40, 60])[0]
        .bindings
        .iter()
        .map(|binding| binding.path.clone())
        .collect();
    assert_eq!(
        bindings,
        ["app.signals.stored.receivers", "app.signals.stored"]
    );
}

#[test]
fn an_attribute_of_the_librarys_own_singleton_is_the_holder_itself() {
    let heap = "
module lib.watch
  .observer: lib.watch.Observer
    ._events: list
      [*]: lib.watch.Event xNNN
";
    assert_eq!(
        said(heap, &[20, 40, 60]),
        [
            "lib.watch.observer._events[*] of lib.watch.Event, held by instance-attribute lib.watch.observer._events: [20, 40, 60]"
        ]
    );
}

#[test]
fn defaults_closures_and_caches_are_written_from_their_function() {
    let heap = "
module app
  .log: function:app.log
    <default>.seen: list
      [*]: bytes xNNN
  .handle: function:app.handle
    <closure>.images: list
      [*]: bytearray xNNN
";
    assert_eq!(
        said(heap, &[20, 40, 60]),
        [
            "app.log.<default>.seen[*] of bytes, held by default-argument app.log.<default>.seen: [20, 40, 60]",
            "app.handle.<closure>.images[*] of bytearray, held by closure app.handle.<closure>.images: [20, 40, 60]",
        ]
    );
}

#[test]
fn a_local_of_a_running_frame() {
    let heap = "
module app
frame app.worker
  local jobs: list
    [*]: app.Job xNNN
";
    assert_eq!(
        said(heap, &[20, 40, 60]),
        [
            "app.worker.<local>.jobs[*] of app.Job, held by local app.worker.<local>.jobs: [20, 40, 60]"
        ]
    );
}

#[test]
fn a_linked_list_is_one_finding() {
    let heap = "
module app
  .CHAIN: app.Node
    /next: app.Node
      /next: app.Node
        /payload: list
          [*]: bytes xNNN
";
    assert_eq!(said(heap, &[20, 40, 60]).len(), 1);
}

/// Each object keeps the one before it in a list of one: what is told is the objects, and what all of them take, once.
#[test]
fn a_chain_through_containers_is_told_by_its_objects_and_counted_once() {
    let chain = |length: usize| {
        let mut text = "module app\n  .LAST: app.Version 100\n".to_owned();
        for level in 0..length {
            let indent = "  ".repeat(2 * level + 2);
            text += &format!("{indent}/before: list 50\n{indent}  [*]: app.Version 100\n");
        }
        text
    };
    let found = series_of(&[chain(10), chain(20), chain(30)]);
    let [holding] = &found[..] else {
        panic!("{found:#?}");
    };
    assert_eq!(holding.held_type, "app.Version");
    let rise: Vec<u64> = holding
        .counts
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .collect();
    assert_eq!(rise, [10, 10]);
    let [first, second, last] = holding.retained_bytes[..] else {
        panic!("{:?}", holding.retained_bytes);
    };
    assert_eq!([second - first, last - second], [1500, 1500]);
    assert!(last <= 30 * 150 + 100, "{last}");
}

#[test]
fn the_standard_librarys_own_bookkeeping_is_silent_unless_others_objects_grow_in_it() {
    let heap = "
module std.linecache
  .cache: dict
    [*]: str xNNN
module std.registry
  .handlers: list
    [*]: app.Handler xNNN
module app
";
    assert_eq!(
        said(heap, &[20, 40, 60]),
        [
            "std.registry.handlers[*] of app.Handler, held by module-global std.registry.handlers: [20, 40, 60]"
        ]
    );
}

#[test]
fn one_dump_tells_what_retains_most() {
    let heap = "
module app
  .BIG: list
    [*]: bytes 10000 xNNN
  .SMALL: list
    [*]: bytes 10 x4
";
    let holdings = series(heap, &[20]);
    assert_eq!(holdings.len(), 1);
    assert!(!holdings[0].rises);
    assert_eq!(holdings[0].access_path, "app.BIG[*]");
}

#[test]
fn a_class_with_several_named_instances_is_reusable_too() {
    let heap = "
module app.caches
  .thumbnails: app.caches.Cache
    .entries: dict
      [*]: bytes xNNN
  .avatars: app.caches.Cache
    .entries: dict
      [*]: bytes
";
    assert_eq!(
        said(heap, &[20, 40, 60]),
        [
            "app.caches.thumbnails.entries[*] of bytes, held by module-global app.caches.thumbnails: [20, 40, 60]"
        ]
    );
}

#[test]
fn what_c_code_holds_is_told_by_type() {
    let heap = "
native
  [*]: app.Callback xNNN
native
  [*]: frozen x3
module app
";
    assert_eq!(
        said(heap, &[20, 40, 60]),
        ["<native> of app.Callback, held by nobody: [20, 40, 60]"]
    );
}

#[test]
fn a_text_that_is_bound_anew_and_a_buffer_that_is_filled() {
    let heap = "
module app
  .TEXT: str NNN
  .LOG: bytearray NNN
";
    let how: Vec<_> = series(heap, &[1000, 2000, 3000])
        .iter()
        .map(|holding| (holding.access_path.clone(), holding.how))
        .collect();
    let expected = [
        ("app.TEXT".to_owned(), How::Bound),
        ("app.LOG".to_owned(), How::Items { depth: 1 }),
    ];
    assert_eq!(how, expected);
}

#[test]
fn a_few_plain_values_more_are_no_growth() {
    let heap = "
module app
  .STATE: dict
    [*]: int 28 xNNN
";
    assert_eq!(said(heap, &[0, 2, 4]), [""; 0]);
    assert_eq!(said(heap, &[0, 20, 40]).len(), 1);
}
