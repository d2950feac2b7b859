//! MLIR modules of any text or bytecode, as a network.
#![no_main]

use std::cell::Cell;
use tpuc_dialects::{Module, context};

/// Texts that one context serves: it keeps every type and attribute that it has seen.
const LIFE: usize = 2000;

thread_local! {
    static CONTEXT: Cell<Option<(melior::Context, usize)>> = const { Cell::new(None) };
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (context, age) = CONTEXT.take().filter(|(_, age)| *age < LIFE).unwrap_or_else(|| (context(), 0));
    if let Ok(module) = Module::parse(&context, data, "fuzz") {
        let _ = module.program();
        let text = module.text();
        Module::parse(&context, text.as_bytes(), "again").expect("what was printed can be parsed");
    }
    CONTEXT.set(Some((context, age + 1)));
});
