#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| asbackup_fuzz::documents(input));
