//! What WebAssembly has besides its first version: exceptions, heaps with a garbage collector, references, 64-bit memories, large tables.

use wrun::{Job, Limits, Module, Status};

use crate::support::{each, failed, module, pool, text};

fn with_memory(bytes: u64) -> Limits {
    Limits { memory_bytes: bytes, ..Limits::default() }
}

/// Throws and catches its argument; `uncaught` only throws it.
fn throwing() -> Module {
    module(
        r#"(module
            (tag $e (param i32))
            (func $throw (param i32) (throw $e (local.get 0)))
            (func (export "caught") (param i32) (result i32)
                (block $handler (result i32)
                    (try_table (catch $e $handler) (call $throw (i32.add (local.get 0) (i32.const 1))))
                    (i32.const 0)))
            (func (export "rethrown") (param i32) (result i32)
                (local $caught exnref)
                (block $outer (result i32)
                    (try_table (catch $e $outer)
                        (block $all (result exnref)
                            (try_table (catch_all_ref $all) (call $throw (local.get 0)))
                            (unreachable))
                        (local.set $caught)
                        (throw_ref (local.get $caught)))
                    (i32.const 0)))
            (func (export "uncaught") (param i32) (call $throw (local.get 0))))"#,
    )
}

#[test]
fn exceptions_are_thrown_and_caught() {
    let module = throwing();
    assert_eq!(text(&each(&Job::new(&module).call("caught"), ["41"])[0]), "42");
    assert_eq!(text(&each(&Job::new(&module).call("rethrown"), ["7"])[0]), "7");
    let ended = each(&Job::new(&module).call("uncaught"), ["7"]);
    assert_eq!(failed(&ended[0]), (Status::Trap, "it threw an exception that nothing caught"));
}

/// Keeps `keep` objects of 16 bytes and more, and forgets `forget` as well.
fn collected() -> Module {
    module(
        r#"(module
            (type $list (struct (field (ref null $list)) (field i64)))
            (func (export "keep") (param i32) (result i32) (local $list (ref null $list)) (local $count i32)
                (loop $more
                    (local.set $list (struct.new $list (local.get $list) (i64.const 1)))
                    (local.set $count (i32.add (local.get $count) (i32.const 1)))
                    (br_if $more (i32.lt_u (local.get $count) (local.get 0))))
                (local.set $count (i32.const 0))
                (loop $more
                    (local.set $count (i32.add (local.get $count) (i32.wrap_i64 (struct.get $list 1 (local.get $list)))))
                    (br_if $more (i32.eqz (ref.is_null (local.tee $list (struct.get $list 0 (local.get $list)))))))
                (local.get $count))
            (func (export "forget") (param i32) (result i32) (local $count i32)
                (loop $more
                    (drop (struct.new $list (ref.null $list) (i64.const 1)))
                    (local.set $count (i32.add (local.get $count) (i32.const 1)))
                    (br_if $more (i32.lt_u (local.get $count) (local.get 0))))
                (local.get $count)))"#,
    )
}

#[test]
fn heaps_of_the_garbage_collector_count_as_memory() {
    let module = collected();
    let ended = each(&Job::new(&module).call("keep").limits(with_memory(8 << 20)), ["1000", "1000000", "2000"]);
    assert_eq!([text(&ended[0]), text(&ended[2])], ["1000", "2000"], "the limit is each task's own");
    let message = "it needs 16777216 bytes of memory, and the limit is 8388608 bytes";
    assert_eq!(failed(&ended[1]), (Status::Limit, message));
    assert_eq!(ended[1].stats.usage.peak_memory_bytes, 8 << 20);
    // What is forgotten is collected, and 16 MB of objects need no more than this.
    let ended = each(&Job::new(&module).call("forget").limits(with_memory(128 << 10)), ["1000000"]);
    assert_eq!(text(&ended[0]), "1000000");
}

#[test]
fn a_module_whose_objects_have_no_room_at_all_is_a_limit() {
    let ended = each(&Job::new(&collected()).call("forget").limits(with_memory(4096)), ["1"]);
    assert_eq!(failed(&ended[0]), (Status::Limit, "it needs 65536 bytes of memory, and the limit is 4096 bytes"));
}

#[test]
fn references_have_types() {
    let module = module(
        r#"(module
            (type $unary (func (param i32) (result i32)))
            (func $double (type $unary) (i32.shl (local.get 0) (i32.const 1)))
            (elem declare func $double)
            (table $any 2 externref)
            (func (export "double") (param i32) (result i32)
                (table.set $any (i32.const 1) (extern.convert_any (ref.i31 (local.get 0))))
                (call_ref $unary
                    (i31.get_s (ref.cast (ref i31) (any.convert_extern (table.get $any (i32.const 1)))))
                    (ref.func $double)))
            (func (export "null") (result i32) (call_ref $unary (i32.const 1) (ref.null $unary))))"#,
    );
    assert_eq!(text(&each(&Job::new(&module).call("double"), ["21"])[0]), "42");
    let (status, message) = {
        let ended = each(&Job::new(&module).call("null"), [""]);
        let (status, message) = failed(&ended[0]);
        (status, message.to_owned())
    };
    assert_eq!((status, message.as_str()), (Status::Trap, "null reference"));
}

/// Writes a word behind `arg` GiB of a 64-bit memory, and returns it with what stood there before.
fn large() -> Module {
    module(
        r#"(module
            (memory (export "memory") i64 1)
            (func (export "at") (param $gib i64) (result i64 i64) (local $address i64)
                (local.set $address (i64.shl (local.get $gib) (i64.const 30)))
                (if (i64.eq (memory.grow (i64.shl (local.get $gib) (i64.const 14))) (i64.const -1)) (then (unreachable)))
                (i64.load (local.get $address))
                (i64.store (local.get $address) (i64.const 77))
                (i64.load (local.get $address))))"#,
    )
}

#[test]
fn a_64_bit_memory_grows_beyond_4_gib() {
    let job = Job::new(&large()).limits(with_memory(40 << 30));
    let mut pool = pool(1);
    let tasks = ["3", "5", "31", "31", "40"];
    let ended: Vec<_> = tasks.map(|task| pool.run(&job, task).expect("a run")).into();
    for outcome in &ended[..4] {
        assert_eq!(text(outcome), "0 77", "the memory of each task is fresh");
    }
    let message = "it needs 42949738496 bytes of memory, and the limit is 42949672960 bytes";
    assert_eq!(failed(&ended[4]), (Status::Limit, message));
    // The same worker loads usual modules again.
    let small = module(r#"(module (memory 1) (func (export "size") (result i32) (memory.size)))"#);
    assert_eq!(text(&pool.run(&Job::new(&small), "").expect("a run")), "1");
}

#[test]
fn a_64_bit_memory_has_256_gib_at_most() {
    let job = Job::new(&large()).limits(with_memory(u64::MAX));
    let ended = each(&job, ["255", "256"]);
    assert_eq!(text(&ended[0]), "0 77");
    assert_eq!(failed(&ended[1]), (Status::Trap, "wasm `unreachable` instruction executed"));
}

#[test]
fn tables_have_as_many_elements_as_the_job_allows() {
    let module = module(
        r#"(module (table $t 300000 funcref)
            (func (export "grow") (param i32) (result i32)
                (if (i32.eq (table.grow $t (ref.null func) (local.get 0)) (i32.const -1)) (then (unreachable)))
                (table.size $t)))"#,
    );
    let with_elements = |table_elements| Job::new(&module).limits(Limits { table_elements, ..Limits::default() });
    let refused = pool(1).run(&with_elements(262_144), "1").unwrap_err();
    assert!(refused.to_string().ends_with("has a table of 300000 elements, and the limit is 262144"), "{refused}");
    assert_eq!(refused.setting(), Some(wrun::result::Setting::TableElements));
    let ended = each(&with_elements(1_000_000), ["700000", "700001"]);
    assert_eq!(text(&ended[0]), "1000000");
    assert_eq!(failed(&ended[1]), (Status::Limit, "it needs a table of 1000001 elements, and the limit is 1000000"));
    let refused = pool(1).run(&with_elements(10_000_001), "1").unwrap_err();
    assert!(refused.to_string().contains("10000001 elements of a table is not possible"), "{refused}");
}
