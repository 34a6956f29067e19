pub mod diagnostic;
pub mod engine;
pub mod event;
pub mod inventory;
pub mod report;
pub mod resource;
pub mod template;
