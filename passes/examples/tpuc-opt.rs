//! The pass driver alone: `cargo run --release -p tpuc-passes --example tpuc-opt -- net.mlir --shape-infer`.

fn main() {
    tpuc_passes::register_all();
    let arguments: Vec<String> = std::env::args().collect();
    std::process::exit(tpuc_dialects::pass::opt_main(&arguments));
}
