//! Every program of `leaks/`, on the first interpreter at hand, or (with `HELDBY_TEST_LEAKS_EVERYWHERE`) on each: what leaks, who
//! holds it, which line stores it; and silence.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};

use heldby_tests::program::check;
use heldby_tests::pythons;

fn check_all(name: &str) {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("leaks")
        .join(format!("{name}.program"));
    let everywhere = std::env::var_os("HELDBY_TEST_LEAKS_EVERYWHERE").is_some();
    let most = if everywhere { usize::MAX } else { 1 };
    for python in pythons().into_iter().take(most) {
        check(&path, &python);
    }
}

macro_rules! programs {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check_all(stringify!($name));
        })*

        #[test]
        fn every_program_has_its_test() {
            let known: Vec<&str> = vec![$(stringify!($name)),*];
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("leaks");
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                assert!(known.contains(&name.as_str()), "{name} is not run");
            }
        }
    };
}

programs! {
    another_name_of_an_attribute
    argument_kept_for_later
    argument_of_a_partial
    asyncio_queue
    atexit_register
    attribute_of_a_state
    attribute_of_a_wrapper
    attribute_of_attribute
    attribute_of_the_same_name
    attribute_of_what_is_decorated
    base_class_counts_instances
    behind_a_proxy
    bounded_cache_that_fills
    bounded_deque_that_fills
    cache_by_call
    cache_made_by_a_mixin
    cache_made_by_each_instance
    cache_on_method
    cache_shown_as_attribute
    cache_that_flattens
    cached_property
    chained_exceptions
    class_attribute
    class_decorator
    class_method
    classes_made_on_the_fly
    closure
    closure_callback
    collector_callbacks
    comprehension
    conditional_import
    container_of_its_own
    context_copies
    context_variable
    context_variable_default
    context_variables_made_each_time
    copy_in_its_place
    coroutine_frame
    cycle_with_collector
    cycle_without_collector
    dataclass_field
    declared_model
    decorated_in_a_function
    default_argument
    default_of_a_field
    defaultdict_of_lists
    entry_of_an_application
    event_emitter
    emptied_lists_stay
    evicting_cache_that_fills
    exit_stack
    frame_local
    full_cache_on_a_method
    function_attribute
    function_cache
    future_callbacks
    futures_never_done
    generator_frame
    globals_subscript
    handed_to_an_object
    handed_to_what_is_not_known
    heap_queue
    helper_of_a_library
    helper_of_the_project
    imported_global
    init_subclass_registry
    instance_attribute
    kept_method
    keys_that_never_repeat
    keys_that_weigh_more
    library_through_library
    lines_of_made_code
    item_of_an_object
    linked_list
    list_that_grows_at_its_end
    logging_handlers
    logging_registry
    loop_over_containers
    lookup_beside_its_table
    made_by_exec
    memo_of_what_leaks
    memoizing_decorator
    metaclass_registry
    module_global
    modules_made_on_the_fly
    monkey_patched_attribute
    named_tuple
    names_set_on_a_class
    names_set_on_a_module
    names_set_on_an_instance
    nested_containers
    object_among_modules
    one_event_of_several
    one_key_of_several
    parameter
    private_attribute_of_a_class
    private_attribute_of_a_model
    property_returns_container
    queue_without_consumer
    read_of_a_defaultdict
    reexport
    register_at_fork
    registration_function
    returned_container
    scopes_pushed
    search_path
    setattr_call
    shallow_copy_of_defaults
    shared_exception
    signal_of_a_library
    silent
    singledispatch
    slot
    star_import
    state_that_is_replaced
    stored_exceptions
    submodules_made_on_the_fly
    subprocesses_not_waited_for
    suspended_generators
    taken_out_and_put_back
    tasks_kept
    tasks_never_done
    text_that_grows
    thread_local
    thread_local_by_accessor
    thread_local_subclass
    threads_that_never_end
    timers_far_ahead
    timers_of_the_running_loop
    tokens_chained
    tree_that_grows_below
    tuple_assignment
    two_holders
    unbounded_queue_of_bytes
    vars_subscript
    walrus
    warning_registry
    weak_keys_that_values_reach
    weakref_callback
    weakref_finalize
}
