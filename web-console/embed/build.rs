//! Has the crate compiled anew whenever the console was built anew.

fn main() {
    let dist = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("dist");
    // Cargo takes a missing path for a changed one and would compile this crate, and link every
    // program that holds it, each time. An empty folder costs nothing; where none can be made
    // (a read-only checkout) only that time is lost.
    let _ = std::fs::create_dir_all(&dist);
    println!("cargo:rerun-if-changed={}", dist.display());
}
