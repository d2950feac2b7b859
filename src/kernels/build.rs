//! Links oneDNN and the OpenMP runtime that Debian's oneDNN is built with.

fn main() {
    println!("cargo:rustc-link-lib=dnnl");
    println!("cargo:rustc-link-lib=gomp");
    println!("cargo:rerun-if-changed=build.rs");
}
