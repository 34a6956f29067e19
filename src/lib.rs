pub mod diagnostic;
pub mod engine;
pub mod event;
pub mod report;
pub mod resource;
