//! What every plan goes through before anybody decides on it, whatever it is for.

use std::sync::Arc;

use super::saving::Made;
use super::session::Session;
use crate::diagnostic::Diagnostics;
use crate::engine::{Forecast, Plan, Wish, World};
use crate::resource::Evaluation;

/// A plan, and what it was made from.
pub(super) struct Planned {
    pub forecast: Arc<Forecast>,
    pub evaluation: Evaluation,
    pub plan: Plan,
}

impl Planned {
    pub fn made<'a>(&'a self, wish: &'a Wish, destroy: bool) -> Made<'a> {
        Made { forecast: &self.forecast, evaluation: &self.evaluation, plan: &self.plan, wish, destroy }
    }
}

impl Session {
    /// Plans over a fresh look at the world: complete and judged, with what became of earlier runs told. Or the exit code.
    /// `whole`: the plan tells of all that the stack owns.
    pub(super) async fn plan(
        &mut self,
        whole: bool,
        plan: impl AsyncFnOnce(&Session, Arc<World>) -> Result<Planned, Diagnostics>,
    ) -> Result<Planned, u8> {
        self.recall();
        self.about_to_plan().await;
        let world = self.world();
        let mut planned = match plan(&*self, world.clone()).await {
            Ok(planned) => planned,
            Err(wrong) => {
                self.recovered_in(&world);
                self.keep_what_was_read().await;
                return Err(self.refuse(&wrong));
            }
        };
        self.complete(&mut planned.plan);
        self.judge(&mut planned.plan);
        self.planned(&planned.plan);
        self.recovered(&planned.plan, whole);
        Ok(planned)
    }
}
