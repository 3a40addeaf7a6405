#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wrun_fuzz::ipc::fuzz::ring(data));
