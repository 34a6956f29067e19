pub mod diagnostic;
pub mod event;
pub mod resource;
pub mod script;
