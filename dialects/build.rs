//! Builds the C++ half (CMakeLists.txt at the top of the repository) and links it; generates the typed views.

#[path = "build/views.rs"]
mod views;

use std::path::PathBuf;

fn main() {
    let folder = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let root = folder.join("..");
    println!("cargo:rerun-if-env-changed=MLIR_SYS_220_PREFIX");
    println!("cargo:rerun-if-changed={}", root.join("CMakeLists.txt").display());
    for name in ["Top", "Tpu", "Interfaces", "CAPI", "Shim"] {
        println!("cargo:rerun-if-changed={}", folder.join(name).display());
    }
    println!("cargo:rerun-if-env-changed=TABLEGEN_220_PREFIX");
    let tablegen = std::env::var("TABLEGEN_220_PREFIX").unwrap_or_else(|_| "/usr/lib/llvm-22".into());
    let views = PathBuf::from(std::env::var("OUT_DIR").expect("cargo sets OUT_DIR")).join("views.rs");
    std::fs::write(views, views::generate(&folder, &tablegen)).expect("OUT_DIR is writable");

    let llvm = std::env::var("MLIR_SYS_220_PREFIX").unwrap_or_else(|_| "/usr/lib/llvm-22".into());
    let mut config = cmake::Config::new(&root);
    config
        .generator("Ninja")
        .define("MLIR_DIR", format!("{llvm}/lib/cmake/mlir"))
        .define("LLVM_DIR", format!("{llvm}/lib/cmake/llvm"))
        .define("CMAKE_CXX_COMPILER", format!("{llvm}/bin/clang++"))
        // The generated code is large and never hot: optimizing it would only make the build slow.
        .profile("Release")
        .define("CMAKE_CXX_FLAGS_RELEASE", "-O1 -DNDEBUG")
        .build_target("TpucDialects");
    let built = config.build();
    println!("cargo:rustc-link-search=native={}", built.join("build").display());
    println!("cargo:rustc-link-lib=static=TpucDialects");
    println!("cargo:rustc-link-lib=dylib=stdc++");
}
