//! Sample records, awkward ones, and a comparison of two namespaces that looks at every byte. The demo and the interop
//! checks share them.

pub mod awkward;
pub mod compare;
mod draft;
pub mod sample;
