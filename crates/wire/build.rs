//! Compiles the protocol's schema, without an installed `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let schema = "proto/nvdsucx.proto";
    println!("cargo:rerun-if-changed={schema}");
    let descriptors = protox::compile([schema], ["proto"])?;
    prost_build::Config::new().compile_fds(descriptors)?;
    Ok(())
}
