//! How fast each service is asked: as fast as we like until it refuses, then all who ask it slow down together.
//!
//! Additive increase, multiplicative decrease, one lane for the reads and one for the writes of each service in each
//! region; other lanes are untouched. The
//! SDK's own adaptive mode is not used: it begins at one call in two seconds, so that a single refusal costs a short run
//! up to twenty seconds, it waits where no Ctrl-C reaches it, and it knows nothing of Kubernetes and Cloudflare.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::refresh::Region;
use crate::event::{Event, Events};
use crate::resource::{Class, Fault, Provider};

/// Calls a second below which no lane falls, and from which it is open again.
const SLOWEST: f64 = 0.5;
const OPEN: f64 = 100.0;
/// What is thought to be too fast where little was asked before the first refusal.
const UNTRIED: f64 = 7.0;
/// What is left of the rate after a refusal.
const CUT: f64 = 0.7;
/// What is taken for the pace of a service is measured over this.
const WINDOW: Duration = Duration::from_secs(1);
/// A service that has refused for so long without serving anything is given up.
pub const PATIENCE: Duration = Duration::from_secs(180);
/// Whoever says when to come back is waited for so long, all in all.
pub const LONGEST: Duration = Duration::from_secs(600);
/// Refusals farther apart are not of one storm.
const LULL: Duration = Duration::from_secs(60);
/// A storm is told again after so long.
const TELLING: Duration = Duration::from_secs(30);

/// A service in a region, which has one limit for all who read from it, and one for all who change something.
type Key = (String, Region, Verbs);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verbs {
    Reads,
    Writes,
}

/// Shared by all that asks a provider in one run.
#[derive(Clone, Default)]
pub struct Limiter {
    lanes: Arc<Mutex<HashMap<Key, Arc<Lane>>>>,
    events: Events,
    stopping: Option<watch::Receiver<bool>>,
}

struct Lane {
    service: String,
    state: Mutex<State>,
    /// Who comes first goes first.
    queue: tokio::sync::Mutex<()>,
}

struct State {
    /// Calls a second; without bound while it is open.
    rate: f64,
    /// Up to here the rate comes back at once when a storm is over.
    known_good: f64,
    /// Nobody goes before this.
    next: Instant,
    /// When the rate was last cut: what was sent before that says nothing new.
    cut: Option<Instant>,
    /// When the last calls that were served came back.
    served: VecDeque<Instant>,
    storm: Option<Storm>,
    told: Option<Instant>,
}

/// Refusals, and nothing served since the first of them.
struct Storm {
    since: Instant,
    last: Instant,
    fault: Fault,
}

impl Limiter {
    /// Tells of storms. Once `stopping` turns true nobody is held up any more: what may still begin decides the caller.
    pub fn new(events: Events, stopping: Option<watch::Receiver<bool>>) -> Self {
        Limiter { lanes: Arc::default(), events, stopping }
    }

    /// Reads when it is its turn, and learns from how it ended. Of a service that is given up, the last refusal.
    pub async fn ask<T>(
        &self,
        provider: &dyn Provider,
        what: &str,
        region: &Region,
        call: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        self.turn(provider, what, region, Verbs::Reads, async || {}).await?;
        self.learn(provider, what, region, Verbs::Reads, call).await
    }

    /// Whether a call may be made at once.
    pub fn is_open(&self, provider: &dyn Provider, what: &str, region: &Region, verbs: Verbs) -> bool {
        self.lane(provider, what, region, verbs).state.lock().expect("no holder panics").is_open()
    }

    /// Waits until a call may be made, and gives back what it needs besides.
    pub async fn turn<S>(
        &self,
        provider: &dyn Provider,
        what: &str,
        region: &Region,
        verbs: Verbs,
        slot: impl AsyncFn() -> S,
    ) -> Result<S, Fault> {
        let lane = self.lane(provider, what, region, verbs);
        if lane.state.lock().expect("no holder panics").is_open() {
            return Ok(slot().await);
        }
        let _place = lane.queue.lock().await;
        loop {
            let due = lane.state.lock().expect("no holder panics").due(Instant::now())?;
            let next = match due {
                Some(next) => next,
                None => {
                    // The slot first: turns that are taken without one would pile up, and then be used at once.
                    let slot = slot().await;
                    let mut state = lane.state.lock().expect("no holder panics");
                    let now = Instant::now();
                    match state.due(now)? {
                        None => {
                            state.next = now + state.gap();
                            return Ok(slot);
                        }
                        // The service has refused meanwhile: others may have the slot until it is asked again.
                        Some(next) => next,
                    }
                }
            };
            let stopped = async {
                match &self.stopping {
                    Some(stopping) => drop(stopping.clone().wait_for(|stopping| *stopping).await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stopped => return Ok(slot().await),
                () = sleep_until(next) => {}
            }
        }
    }

    /// Makes a call whose turn it is.
    pub async fn learn<T>(
        &self,
        provider: &dyn Provider,
        what: &str,
        region: &Region,
        verbs: Verbs,
        call: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let lane = self.lane(provider, what, region, verbs);
        let (begun, refusals) = (Instant::now(), provider.refusals(&lane.service, region.as_deref()));
        let result = call.await;
        let now = Instant::now();
        let mut state = lane.state.lock().expect("no holder panics");
        match &result {
            Err(fault) if fault.class == Class::Throttled && fault.retry_after == Some(Duration::ZERO) => {}
            Err(fault) if fault.class == Class::Throttled => {
                // Of who wants to be left alone for longer than anyone waits, only the caller is told.
                if fault.retry_after.is_none_or(|wanted| wanted <= LONGEST) {
                    state.refused(begun, now, fault);
                    self.tell(&lane.service, &mut state, fault, now);
                }
            }
            // It says nothing of the service's limits.
            Err(fault) if fault.class == Class::Ambiguous => {}
            // Served in the end, after the provider was refused and asked again by itself.
            _ if verbs == Verbs::Reads && provider.refusals(&lane.service, region.as_deref()) > refusals => {
                state.slow_down(begun, now)
            }
            _ => state.served(begun, now),
        }
        result
    }

    fn lane(&self, provider: &dyn Provider, what: &str, region: &Region, verbs: Verbs) -> Arc<Lane> {
        let key = (provider.service(what).into_owned(), region.clone(), verbs);
        let mut lanes = self.lanes.lock().expect("no holder panics");
        let new =
            || Arc::new(Lane { service: key.0.clone(), state: Mutex::new(State::new()), queue: Default::default() });
        lanes.entry(key.clone()).or_insert_with(new).clone()
    }

    fn tell(&self, service: &str, state: &mut State, fault: &Fault, now: Instant) {
        if state.told.is_some_and(|told| now - told < TELLING) {
            return;
        }
        state.told = Some(now);
        let seconds = (state.next - now).as_secs_f64();
        self.events.emit(Event::HeldUp { cause: format!("{service} is asked more slowly: {fault}"), seconds });
    }
}

impl State {
    fn new() -> Self {
        State {
            rate: f64::INFINITY,
            known_good: SLOWEST,
            next: Instant::now(),
            cut: None,
            served: VecDeque::new(),
            storm: None,
            told: None,
        }
    }

    fn is_open(&self) -> bool {
        self.rate.is_infinite()
    }

    fn gap(&self) -> Duration {
        if self.is_open() { Duration::ZERO } else { Duration::from_secs_f64(1.0 / self.rate) }
    }

    fn refused(&mut self, begun: Instant, now: Instant, fault: &Fault) {
        let calm = LULL + fault.retry_after.unwrap_or_default();
        let since = self.storm.as_ref().filter(|storm| now - storm.last < calm).map_or(now, |storm| storm.since);
        self.storm = Some(Storm { since, last: now, fault: fault.clone() });
        self.slow_down(begun, now);
        self.next = self.next.max(now + fault.retry_after.unwrap_or_default());
    }

    fn slow_down(&mut self, begun: Instant, now: Instant) {
        // Many are refused at once: that is one refusal.
        if self.cut.is_none_or(|cut| begun >= cut) {
            let recent = self.served.iter().filter(|at| now - **at <= WINDOW).count();
            let recent = (recent as f64 / WINDOW.as_secs_f64()).max(UNTRIED);
            let pace = if self.is_open() { recent } else { self.rate };
            self.rate = (pace * CUT).max(SLOWEST);
            if self.is_fresh_storm(now) {
                self.known_good = self.rate.max(4.0 * SLOWEST);
            }
            self.cut = Some(now);
        }
        self.next = self.next.max(now + self.gap());
    }

    /// Something was served a moment ago, so that the rate until now was not far from what is good.
    fn is_fresh_storm(&self, now: Instant) -> bool {
        self.served.back().is_some_and(|at| now - *at <= WINDOW) || self.cut.is_none()
    }

    fn served(&mut self, begun: Instant, now: Instant) {
        self.served.push_back(now);
        if self.served.len() > 512 {
            self.served.pop_front();
        }
        let Some(cut) = self.cut.filter(|cut| begun >= *cut) else { return };
        self.storm = None;
        if self.is_open() {
            return;
        }
        // Slowly at first, then ever faster: what refused a minute ago may have been another's doing.
        let calm = (now - cut).as_secs_f64() / 5.0;
        let more = if self.rate < self.known_good { self.rate } else { 0.5 * (1.0 + calm * calm) / self.rate };
        self.rate += more;
        if self.rate >= OPEN || now - cut > LULL {
            self.rate = f64::INFINITY;
            (self.cut, self.next) = (None, now);
        } else {
            self.next = self.next.min(now + self.gap());
        }
    }

    /// `None`: now. Of a service that is given up, the last refusal.
    fn due(&self, now: Instant) -> Result<Option<Instant>, Fault> {
        match self.given_up(now) {
            Some(fault) => Err(fault),
            None => Ok(Some(self.next).filter(|next| *next > now)),
        }
    }

    fn given_up(&self, now: Instant) -> Option<Fault> {
        // After a while of silence somebody tries again.
        let storm = self.storm.as_ref().filter(|storm| now - storm.last < LULL)?;
        let patience = if storm.fault.retry_after.is_some() { LONGEST } else { PATIENCE };
        let refused = storm.last - storm.since;
        (refused > patience || self.next.saturating_duration_since(now) > LONGEST).then(|| {
            // Nobody waits for it any longer.
            let mut fault = Fault { class: Class::Other, ..storm.fault.clone() };
            fault.hint = Some(format!("it has served nothing for {} min: run again later", refused.as_secs() / 60));
            fault
        })
    }
}
