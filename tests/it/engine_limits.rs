//! A service that allows so many calls a second: how often it must refuse, and who waits for it. Counted, in simulated
//! time.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use runner::engine::{Limiter, Outcome, Tools, World, journal::Journal, wait::Looks};
use runner::event::{Event, Events};
use runner::providers::sandbox::Sandbox;
use runner::resource::kind::Lookup;
use runner::resource::{Class, Create, Delete, Fault, Kind, Live, Provider, Select, Update, Value};
use runner::secret::{Secrets, Source};
use serde_json::json;
use tokio::time::Instant;

use crate::world::{Cloud, Item, Record, item, kinds, seconds};

/// The sandbox as two services: `t::part` and all else. The first allows `rate` calls a second, `burst` at once.
struct Service {
    inner: Arc<Sandbox>,
    class: Class,
    rate: f64,
    burst: f64,
    /// When it allows calls without bound again, from the beginning.
    calm_after: Duration,
    retry_after: Option<Duration>,
    limits_reads: bool,
    /// How long the other service takes for each create.
    other_takes: Duration,
    /// So many questions for secrets are refused.
    refuses_secrets: usize,
    begun: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    used: f64,
    at: Option<Instant>,
    refused: usize,
    asked: Vec<Duration>,
    /// When the other service was last asked.
    other: Duration,
}

impl Service {
    fn over(cloud: &Cloud, rate: f64, burst: f64) -> Service {
        Service {
            inner: cloud.sandbox.clone(),
            class: Class::Throttled,
            rate,
            burst,
            calm_after: Duration::MAX,
            retry_after: None,
            limits_reads: false,
            other_takes: Duration::ZERO,
            refuses_secrets: 0,
            begun: Instant::now(),
            state: Mutex::default(),
        }
    }

    fn let_in(&self, kind: &Kind, reads: bool) -> Result<(), Fault> {
        let (now, mut state) = (Instant::now(), self.state.lock().unwrap());
        if *kind.name != *"t::part" {
            state.other = now - self.begun;
            return Ok(());
        }
        if now - self.begun >= self.calm_after || reads && !self.limits_reads {
            return Ok(());
        }
        state.asked.push(now - self.begun);
        let passed = state.at.map_or(0.0, |at| (now - at).as_secs_f64());
        state.used = (state.used - passed * self.rate).max(0.0);
        state.at = Some(now);
        if state.used + 1.0 > self.burst {
            state.refused += 1;
            let mut fault = Fault::new(self.class, "asked too often");
            fault.retry_after = self.retry_after;
            return Err(fault);
        }
        state.used += 1.0;
        Ok(())
    }

    fn refused(&self) -> usize {
        self.state.lock().unwrap().refused
    }
}

#[async_trait]
impl Provider for Service {
    fn kinds(&self) -> &[Arc<Kind>] {
        self.inner.kinds()
    }

    fn lookups(&self) -> &[Lookup] {
        self.inner.lookups()
    }

    fn service<'a>(&self, what: &'a str) -> Cow<'a, str> {
        if what == "t::part" { "parts".into() } else { "others".into() }
    }

    async fn owned_kinds(&self, region: Option<&str>, stack: &str) -> Result<BTreeSet<Arc<str>>, Fault> {
        self.inner.owned_kinds(region, stack).await
    }

    async fn list(&self, kind: &Kind, region: Option<&str>, select: &Select) -> Result<Vec<Live>, Fault> {
        self.let_in(kind, true)?;
        self.inner.list(kind, region, select).await
    }

    async fn create(&self, kind: &Kind, request: &Create) -> Result<String, Fault> {
        self.let_in(kind, false)?;
        if *kind.name != *"t::part" {
            tokio::time::sleep(self.other_takes).await;
        }
        self.inner.create(kind, request).await
    }

    async fn update(&self, kind: &Kind, request: &Update) -> Result<(), Fault> {
        self.let_in(kind, false)?;
        self.inner.update(kind, request).await
    }

    async fn delete(&self, kind: &Kind, request: &Delete) -> Result<(), Fault> {
        self.let_in(kind, false)?;
        self.inner.delete(kind, request).await
    }

    async fn look_up(&self, name: &str, arguments: &[Value]) -> Result<Value, Fault> {
        self.inner.look_up(name, arguments).await
    }

    async fn secret(&self, _: &Source) -> Result<String, Fault> {
        let mut state = self.state.lock().unwrap();
        state.refused += 1;
        match state.refused > self.refuses_secrets {
            true => Ok("NOTAREAL-value".into()),
            false => Err(Fault::new(self.class, "asked too often")),
        }
    }
}

fn cloud() -> Cloud {
    let mut sandbox = Sandbox::in_memory(kinds(), vec![]);
    sandbox.latency.call = seconds(0.1);
    Cloud::over(sandbox)
}

fn parts(count: usize) -> Vec<Item> {
    (0..count).map(|n| item(&format!("t::part.p{n}"), json!({ "size": 1 }))).collect()
}

/// Applies as a session does, with one limiter that knows when to stop; with the events that told of it.
async fn apply(cloud: &Cloud, service: Arc<Service>, items: Vec<Item>) -> (Outcome, Vec<Event>) {
    apply_with(cloud, service, items, 32).await
}

async fn apply_with(
    cloud: &Cloud,
    service: Arc<Service>,
    items: Vec<Item>,
    parallelism: usize,
) -> (Outcome, Vec<Event>) {
    let plan = cloud.plan(items).await;
    let (events, record) = (Events::default(), Record::default());
    events.add(record.clone());
    let limiter = Limiter::new(events.clone(), Some(cloud.stop.subscribe()));
    let tools = Tools {
        looks: Looks::new(service.clone(), "prod").limited_by(limiter),
        provider: service,
        stack: "prod".into(),
        journal: Journal::none(),
        events,
        secrets: Default::default(),
        stopping: cloud.stop.subscribe(),
        lease: Default::default(),
    };
    let all = kinds();
    let kind = |name: &str| all.iter().find(|kind| *kind.name == *name).cloned();
    let outcome = runner::engine::apply(&plan, &kind, &tools, parallelism).await.unwrap();
    let told = record.0.lock().unwrap().clone();
    (outcome, told)
}

fn held_up(events: &[Event]) -> Vec<String> {
    let told = events.iter().filter_map(|event| match event {
        Event::HeldUp { cause, .. } => Some(cause.clone()),
        _ => None,
    });
    told.collect()
}

/// Each alone comes back after a while, or all slow down together: the same service, the same 200 resources.
#[tokio::test(start_paused = true)]
async fn who_is_refused_slows_down_all_who_ask_that_service() {
    let mut came = vec![];
    for class in [Class::Busy, Class::Throttled] {
        let cloud = cloud();
        // What is busy is asked again as each resource sees fit: so was what is throttled.
        let service = Arc::new(Service { class, ..Service::over(&cloud, 5.0, 20.0) });
        let (outcome, told) = apply(&cloud, service.clone(), parts(200)).await;
        assert!(outcome.is_success(), "{:#?}", outcome.failures);
        assert_eq!(cloud.addresses().len(), 200);
        println!("{class:?}: {} refused, {:.1} s, {:?}", service.refused(), outcome.seconds, held_up(&told));
        came.push((service.refused(), outcome.seconds, held_up(&told).len()));
    }
    let [(bare, bare_seconds, _), (refused, seconds, told)] = came[..] else { panic!("two runs") };
    // 180 of them cannot be made sooner than in 36 s.
    assert!(refused * 5 < bare && refused < 80, "{refused} refused, {bare} without the limiter");
    assert!(seconds <= bare_seconds * 1.05 && seconds < 50.0, "{seconds} s, {bare_seconds} s without the limiter");
    assert!((1..=3).contains(&told), "told {told} times");
}

#[tokio::test(start_paused = true)]
async fn a_storm_on_one_service_does_not_hold_up_the_others() {
    let cloud = cloud();
    let service = Arc::new(Service::over(&cloud, 1.0, 1.0));
    let mut items = parts(60);
    items.extend((0..40).map(|n| item(&format!("t::named.n{n}"), json!({ "name": format!("n{n}") }))));
    let (outcome, _) = apply(&cloud, service.clone(), items).await;
    assert!(outcome.is_success() && outcome.seconds > 55.0, "{} s", outcome.seconds);
    let other = service.state.lock().unwrap().other;
    assert!(other < seconds(5.0), "the other service was done with after {other:?}");
}

/// The slots are taken by what another service is slow at: turns must not pile up behind them, to be used all at once.
#[tokio::test(start_paused = true)]
async fn a_turn_is_taken_only_by_who_can_use_it_at_once() {
    let cloud = cloud();
    let service = Arc::new(Service { other_takes: seconds(20.0), ..Service::over(&cloud, 4.0, 4.0) });
    let mut items = parts(80);
    items.extend((0..12).map(|n| item(&format!("t::named.n{n}"), json!({ "name": format!("n{n}") }))));
    let (outcome, _) = apply_with(&cloud, service.clone(), items, 6).await;
    assert!(outcome.is_success(), "{:#?}", outcome.failures);
    let asked = service.state.lock().unwrap().asked.clone();
    // After the refusals from which the pace is learned; several come free at one moment.
    let later: Vec<Duration> = asked.iter().copied().filter(|at| *at > seconds(5.0)).collect();
    let at_once = later.windows(2).filter(|pair| pair[1] - pair[0] < seconds(0.03)).count();
    assert!(later.len() > 60 && at_once == 0, "{at_once} at once: {asked:?}");
}

#[tokio::test(start_paused = true)]
async fn when_a_storm_is_over_the_pace_comes_back() {
    let cloud = cloud();
    let calm_after = seconds(20.0);
    let service = Arc::new(Service { calm_after, ..Service::over(&cloud, 2.0, 2.0) });
    let (outcome, _) = apply(&cloud, service.clone(), parts(1000)).await;
    assert!(outcome.is_success());
    // Forty of them during the storm; at that pace the rest would take eight minutes.
    assert!(outcome.seconds < 90.0, "{} s", outcome.seconds);
}

#[tokio::test(start_paused = true)]
async fn when_to_come_back_holds_for_everyone() {
    let cloud = cloud();
    let service = Service { retry_after: Some(seconds(40.0)), ..Service::over(&cloud, 5.0, 10.0) };
    let service = Arc::new(service);
    let (outcome, _) = apply(&cloud, service.clone(), parts(50)).await;
    assert!(outcome.is_success(), "{:#?}", outcome.failures);
    let asked = service.state.lock().unwrap().asked.clone();
    let early = asked.iter().filter(|at| **at > seconds(1.0) && **at < seconds(40.0)).count();
    assert_eq!(early, 0, "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_plan_survives_a_storm_of_half_a_minute_and_tells_of_it_once() {
    let cloud = cloud();
    cloud.run(parts(3)).await;
    cloud.forget_events();
    let begun = Instant::now();
    let service = Service { limits_reads: true, calm_after: seconds(30.0), ..Service::over(&cloud, 0.0, 0.0) };
    let events = Events::default();
    events.add(cloud.record.clone());
    let world = Arc::new(World::new(Arc::new(service), "prod", events));
    let forecast = runner::engine::Forecast::new(world, vec![], tokio::runtime::Handle::current());
    let evaluation = crate::world::evaluation(parts(3));
    let plan = runner::engine::plan(&forecast, &evaluation, &cloud.wish).await.unwrap();
    assert!(plan.is_empty());
    assert!((30.0..60.0).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
    let told = held_up(&cloud.record.0.lock().unwrap());
    assert!((1..=2).contains(&told.len()), "{told:?}");
    assert_eq!(told[0], "parts is asked more slowly: asked too often");
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_refused_for_a_moment_is_asked_for_again() {
    for class in [Class::Throttled, Class::Ambiguous] {
        let cloud = cloud();
        let service = Arc::new(Service { class, refuses_secrets: 3, ..Service::over(&cloud, 1.0, 1.0) });
        let secrets = Secrets::default();
        secrets.name([("token".to_owned(), Source::Parameter("/token".into()))].into());
        let world = World::new(service.clone(), "prod", Events::default()).with_secrets(secrets.clone());
        world.learn_secret("token").await.unwrap();
        assert_eq!((secrets.get("token").as_deref(), service.refused()), (Some("NOTAREAL-value"), 4));
    }
}

#[tokio::test(start_paused = true)]
async fn a_storm_that_never_ends_ends_the_run_with_the_cause() {
    let cloud = cloud();
    let begun = Instant::now();
    let service = Arc::new(Service { limits_reads: true, ..Service::over(&cloud, 0.0, 0.0) });
    let world = Arc::new(World::new(service, "prod", Events::default()));
    let forecast = runner::engine::Forecast::new(world, vec![], tokio::runtime::Handle::current());
    let evaluation = crate::world::evaluation(parts(3));
    let wrong = runner::engine::plan(&forecast, &evaluation, &cloud.wish).await.unwrap_err();
    assert!(wrong[0].to_string().contains("cannot read what is live of `t::part`: asked too often"), "{}", wrong[0]);
    assert!(begun.elapsed() < seconds(240.0), "{:?}", begun.elapsed());

    // While applying: those that wait for their turn give up with those that were refused.
    let (begun, service) = (Instant::now(), Arc::new(Service::over(&cloud, 0.0, 0.0)));
    let (outcome, told) = apply(&cloud, service.clone(), parts(300)).await;
    assert_eq!(outcome.failures.len(), 300);
    assert!(outcome.failures.iter().all(|one| one.diagnostic.to_string().contains("asked too often")));
    assert!(begun.elapsed() < seconds(240.0), "{:?}", begun.elapsed());
    assert!(held_up(&told).len() < 10 && service.refused() < 200, "{} refused", service.refused());
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_storm_at_once() {
    let cloud = cloud();
    let stop = cloud.stop.clone();
    let service = Arc::new(Service::over(&cloud, 0.0, 3.0));
    tokio::spawn(async move {
        tokio::time::sleep(seconds(60.0)).await;
        stop.send_replace(true);
    });
    let (outcome, _) = apply(&cloud, service.clone(), parts(300)).await;
    assert!(outcome.interrupted && outcome.failures.is_empty(), "{:#?}", outcome.failures);
    assert!(outcome.seconds < 61.0, "{} s", outcome.seconds);
    assert_eq!(cloud.addresses().len(), 3);
}
