//! Kubernetes: objects of any kind on clusters, behind the provider's verbs.

pub mod applyset;
pub mod diff;
pub mod fault;
pub mod fields;
pub mod object;
pub mod order;
pub mod path;
pub mod pods;
pub mod readiness;
pub mod references;
