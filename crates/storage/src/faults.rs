//! Failures on purpose, for tests (feature `faults`). Each call that changes something is a step.

use std::io;
#[cfg(feature = "faults")]
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// How storage fails on purpose.
#[cfg(feature = "faults")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No step succeeds from there on, not even to clean up: what is there then is what a killed process leaves.
    Kill,
    /// That one step fails in this way.
    Once(io::ErrorKind),
}

/// When and how storage fails; never without the feature.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    #[cfg(feature = "faults")]
    plan: Option<Arc<Plan>>,
}

#[cfg(feature = "faults")]
#[derive(Debug)]
struct Plan {
    at: u64,
    fault: Fault,
    done: AtomicU64,
}

impl Faults {
    #[cfg(feature = "faults")]
    pub(crate) fn at(step: u64, fault: Fault) -> Self {
        Self { plan: Some(Arc::new(Plan { at: step, fault, done: AtomicU64::new(0) })) }
    }

    /// Takes a step.
    #[cfg(feature = "faults")]
    pub(crate) fn step(&self) -> io::Result<()> {
        let Some(plan) = &self.plan else { return Ok(()) };
        let step = plan.done.fetch_add(1, Relaxed);
        match plan.fault {
            Fault::Kill if step >= plan.at => Err(io::Error::other("stopped on purpose")),
            Fault::Once(kind) if step == plan.at => Err(kind.into()),
            _ => Ok(()),
        }
    }

    /// Takes a step.
    #[cfg(not(feature = "faults"))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the feature needs both")]
    pub(crate) fn step(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Where a storage fails doesn't make it another one.
impl PartialEq for Faults {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Faults {}
