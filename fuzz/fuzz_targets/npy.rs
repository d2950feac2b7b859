//! npy files of any bytes; what was read is written and read again.
#![no_main]

use tpuc_tensor::npz::{format_npy, parse_npy};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(tensor) = parse_npy(data) {
        let again = parse_npy(&format_npy(&tensor)).expect("what was written can be read");
        assert_eq!(again.shape(), tensor.shape());
        assert_eq!(again.to_le_bytes(), tensor.to_le_bytes());
    }
});
