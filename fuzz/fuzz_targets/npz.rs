//! npz archives of any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = tpuc_tensor::npz::parse_npz(data);
});
