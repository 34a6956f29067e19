pub mod diagnostic;
pub mod event;
pub mod providers;
pub mod resource;
