#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wrun_ipc::fuzz::wire(data));
