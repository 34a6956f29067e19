pub mod diagnostic;
pub mod engine;
pub mod event;
pub mod providers;
pub mod resource;
pub mod script;
