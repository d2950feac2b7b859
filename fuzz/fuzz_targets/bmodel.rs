//! bmodels of any bytes; one that was read is described and written again.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(model) = tpuc_bmodel::read(data) {
        tpuc_bmodel::describe_in_full(&model);
        let _ = tpuc_bmodel::write(&model);
    }
});
