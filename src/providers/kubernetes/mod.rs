//! Kubernetes: objects of any kind on clusters, behind the provider's verbs.

pub mod manifest;
pub mod object;
pub mod yaml;
