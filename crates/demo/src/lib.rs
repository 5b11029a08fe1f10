//! Sample records, and a comparison of two namespaces that looks at every byte. The demo and the interop checks share them.

pub mod compare;
pub mod sample;
