//! The protocol of a team's lock, over a store that is played, in simulated time.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use runner::diagnostic::Sources;
use runner::engine::lock::{Acquired, Clock, Holder, Lease, Record, Terms, acquire};
use runner::event::{Reader, Stamped};
use runner::providers::sandbox::Sandbox;
use runner::report::{Tally, screen::Screen};
use runner::resource::kind::Lookup;
use runner::resource::{
    Class, Create, Delete, Fault, Kind, Live, LockStore, Provider, Select, Stored, Update, Value, Written, permission,
};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::world::{Cloud, item, reference, seconds};

/// What every run sees.
#[derive(Clone, Default)]
struct Bucket(Arc<Mutex<Option<Object>>>);

#[derive(Clone)]
struct Object {
    text: String,
    version: u64,
    written: Instant,
}

impl Bucket {
    fn record(&self) -> Record {
        Record::read(&self.0.lock().unwrap().as_ref().expect("there is a lock").text).unwrap()
    }

    fn put(&self, text: &str, over: Option<&str>) -> Written {
        static VERSIONS: AtomicU64 = AtomicU64::new(1);
        let mut object = self.0.lock().unwrap();
        if object.as_ref().map(|object| object.version.to_string()).as_deref() != over {
            return Written::Moved;
        }
        let version = VERSIONS.fetch_add(1, Ordering::SeqCst);
        *object = Some(Object { text: text.to_owned(), version, written: Instant::now() });
        Written::Done { version: version.to_string(), remark: None }
    }

    /// Someone else's hand.
    fn set(&self, text: Option<&str>) {
        self.0.lock().unwrap().take();
        text.inspect(|text| drop(self.put(text, None)));
    }
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Served,
    /// An error, before it took effect; or after.
    Refused,
    Lost,
    /// Never answered, without an effect; or with one.
    Hangs,
    HangsAfter,
    /// Never answered, and takes effect after so many seconds.
    Late(u64),
    /// Two writes at once: refused, and nothing has changed.
    Conflict,
}

/// One run's way to the bucket.
#[derive(Clone)]
struct Way {
    bucket: Bucket,
    calls: Arc<AtomicUsize>,
    fate: Arc<dyn Fn(usize) -> Fate + Send + Sync>,
}

impl Way {
    fn to(bucket: &Bucket) -> Self {
        Self::with(bucket, |_| Fate::Served)
    }

    fn with(bucket: &Bucket, fate: impl Fn(usize) -> Fate + Send + Sync + 'static) -> Self {
        Way { bucket: bucket.clone(), calls: Arc::default(), fate: Arc::new(fate) }
    }

    async fn call<T: Send + 'static>(
        &self,
        conflict: T,
        serve: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        tokio::task::yield_now().await;
        let fate = (self.fate)(self.calls.fetch_add(1, Ordering::SeqCst) + 1);
        sleep(Duration::from_millis(50)).await;
        let broken = || Err(Fault::new(Class::Ambiguous, "the connection broke"));
        match fate {
            Fate::Served => Ok(serve()),
            Fate::Refused => broken(),
            Fate::Conflict => Ok(conflict),
            Fate::Lost => {
                serve();
                broken()
            }
            Fate::Hangs => std::future::pending().await,
            Fate::HangsAfter => {
                serve();
                std::future::pending().await
            }
            Fate::Late(after) => {
                tokio::spawn(async move {
                    sleep(Duration::from_secs(after)).await;
                    serve();
                });
                std::future::pending().await
            }
        }
    }
}

#[async_trait]
impl LockStore for Way {
    fn place(&self) -> &str {
        "s3://locks/prod.lock"
    }

    async fn read(&self) -> Result<Option<Stored>, Fault> {
        let bucket = self.bucket.clone();
        let read = move || {
            bucket.0.lock().unwrap().clone().map(|object| Stored {
                text: object.text,
                version: object.version.to_string(),
                // Whole seconds, as S3 tells them.
                age: Duration::from_secs(object.written.elapsed().as_secs()),
            })
        };
        let whatever = read();
        self.call(whatever, read).await
    }

    async fn write(&self, text: &str, over: Option<&str>) -> Result<Written, Fault> {
        let (bucket, text, over) = (self.bucket.clone(), text.to_owned(), over.map(str::to_owned));
        self.call(Written::Moved, move || bucket.put(&text, over.as_deref())).await
    }
}

/// A clock on a wall, which can be put forward and back, or sleep through a suspension.
#[derive(Clone, Default)]
struct Wall(Arc<AtomicI64>);

impl Wall {
    fn clock(&self) -> Clock {
        let (begun, skew) = (Instant::now(), self.0.clone());
        Clock::of(move || {
            let passed = begun.elapsed().as_millis() as i64 + skew.load(Ordering::SeqCst) * 1000;
            SystemTime::UNIX_EPOCH + Duration::from_millis((1_000_000_000_000 + passed) as u64)
        })
    }

    fn set(&self, seconds: i64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

fn holder(run: &str) -> Holder {
    Holder { id: format!("id of {run}"), run: run.into(), stack: "prod".into(), ..Holder::default() }
}

async fn take_on(way: &Way, run: &str, wait: u64, clock: Clock) -> Result<Acquired, String> {
    let terms = Terms { lease: Duration::from_secs(60), wait: Duration::from_secs(wait) };
    let won = acquire(Arc::new(way.clone()), holder(run), &terms, clock, &|_, _| {});
    won.await.map_err(|refused| refused.to_string())
}

async fn take(bucket: &Bucket, run: &str) -> Result<Acquired, String> {
    take_on(&Way::to(bucket), run, 0, Wall::default().clock()).await
}

async fn lease(bucket: &Bucket, run: &str) -> Lease {
    take(bucket, run).await.unwrap_or_else(|refused| panic!("{refused}")).lease
}

const PARTING: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn one_at_a_time_and_each_with_the_next_fence() {
    let bucket = Bucket::default();
    let first = lease(&bucket, "one").await;
    assert_eq!(first.fence(), Some(1));
    let refused = take(&bucket, "two").await.err().unwrap();
    assert!(refused.contains("another run is changing stack `prod`: run one"), "{refused}");
    assert!(refused.contains("s3://locks/prod.lock") && refused.contains("runner unlock"), "{refused}");
    // For hours: its signs of life keep it.
    sleep(Duration::from_secs(7200)).await;
    assert!(first.permit().await.is_ok());
    assert!(take(&bucket, "two").await.is_err());
    first.release(PARTING).await.unwrap();
    assert!(!bucket.record().held);
    let second = take(&bucket, "two").await.ok().unwrap();
    assert_eq!((second.lease.fence(), second.taken_over), (Some(2), None));
}

#[tokio::test(start_paused = true)]
async fn the_lock_of_a_run_that_is_gone_is_free_when_its_lease_is_over_and_not_before() {
    let bucket = Bucket::default();
    drop(lease(&bucket, "one").await);
    let begun = bucket.0.lock().unwrap().as_ref().unwrap().written;
    while begun.elapsed() < Duration::from_secs(60) {
        assert!(take(&bucket, "two").await.is_err(), "after {:?}", begun.elapsed());
        sleep(Duration::from_secs(1)).await;
    }
    sleep(Duration::from_secs(1)).await;
    let won = take(&bucket, "two").await.ok().unwrap();
    assert_eq!(won.lease.fence(), Some(2));
    assert_eq!(won.taken_over.unwrap().holder.run, "one");
}

#[tokio::test(start_paused = true)]
async fn of_thirty_two_who_take_over_one_wins() {
    for _ in 0..20 {
        let bucket = Bucket::default();
        drop(lease(&bucket, "gone").await);
        sleep(Duration::from_secs(62)).await;
        let names: Vec<String> = (0..32).map(|n| format!("r{n}")).collect();
        let all = futures_util::future::join_all(names.iter().map(|name| take(&bucket, name))).await;
        let (won, refused): (Vec<_>, Vec<_>) = all.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), refused.len()), (1, 31));
        let winner = bucket.record();
        assert_eq!(winner.fence, 2);
        for told in refused {
            assert!(told.err().unwrap().contains(&format!("run {} of", winner.holder.run)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn thirty_two_who_wait_write_one_after_the_other() {
    let bucket = Bucket::default();
    let (inside, turns) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let run = |n: usize| {
        let (bucket, inside, turns) = (&bucket, &inside, &turns);
        async move {
            let won = take_on(&Way::to(bucket), &format!("r{n}"), 100_000, Wall::default().clock()).await;
            let lease = won.unwrap_or_else(|refused| panic!("{refused}")).lease;
            for _ in 0..3 {
                let permit = lease.permit().await.unwrap_or_else(|lost| panic!("{lost}"));
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "one writer at a time");
                sleep(Duration::from_millis(700)).await;
                inside.fetch_sub(1, Ordering::SeqCst);
                drop(permit);
            }
            assert_eq!(lease.fence(), Some(turns.fetch_add(1, Ordering::SeqCst) as u64 + 1));
            // Every third dies without a word.
            if !n.is_multiple_of(3) {
                lease.release(PARTING).await.unwrap();
            }
        }
    };
    futures_util::future::join_all((0..32).map(run)).await;
    assert_eq!(turns.load(Ordering::SeqCst), 32);
}

#[tokio::test(start_paused = true)]
async fn clocks_that_are_hours_apart_change_nothing() {
    for (ours, theirs) in [(5 * 3600, -5 * 3600), (-5 * 3600, 5 * 3600), (86_400, 86_400)] {
        let bucket = Bucket::default();
        let (one, two) = (Wall::default(), Wall::default());
        one.set(ours);
        two.set(theirs);
        let first = take_on(&Way::to(&bucket), "one", 0, one.clock()).await.ok().unwrap();
        for _ in 0..20 {
            assert!(take_on(&Way::to(&bucket), "two", 0, two.clock()).await.is_err());
            assert!(first.lease.permit().await.is_ok());
            sleep(Duration::from_secs(31)).await;
        }
        // Put back by an hour in the middle of the run, too.
        one.set(ours - 3600);
        sleep(Duration::from_secs(100)).await;
        assert!(first.lease.permit().await.is_ok());
        drop(first);
        sleep(Duration::from_secs(62)).await;
        assert!(take_on(&Way::to(&bucket), "two", 0, two.clock()).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_slept_through_the_end_of_his_lease_writes_nothing() {
    let (bucket, wall) = (Bucket::default(), Wall::default());
    let sleeper = take_on(&Way::to(&bucket), "sleeper", 0, wall.clock()).await.ok().unwrap().lease;
    sleep(Duration::from_secs(1)).await;
    assert!(sleeper.permit().await.is_ok());
    // Ten minutes for all others; its own steady clock stands still, and no heartbeat is due on it.
    bucket.0.lock().unwrap().as_mut().unwrap().written -= Duration::from_secs(600);
    wall.set(600);
    let second = take(&bucket, "two").await.ok().unwrap();
    assert_eq!(second.taken_over.as_ref().unwrap().holder.run, "sleeper");
    let lost = sleeper.permit().await.err().unwrap().to_string();
    assert!(lost.contains("lost its lock of stack `prod`") && lost.contains("held by run two"), "{lost}");
    assert!(sleeper.permit().await.is_err(), "for good");
    // Nor does it touch what is another's.
    sleeper.release(PARTING).await.unwrap();
    assert_eq!((bucket.record().holder.run.as_str(), bucket.record().held), ("two", true));
    assert!(second.lease.permit().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn whoever_slept_and_was_not_missed_goes_on() {
    let (bucket, wall) = (Bucket::default(), Wall::default());
    let sleeper = take_on(&Way::to(&bucket), "sleeper", 0, wall.clock()).await.ok().unwrap().lease;
    sleep(Duration::from_secs(1)).await;
    bucket.0.lock().unwrap().as_mut().unwrap().written -= Duration::from_secs(600);
    wall.set(600);
    let beat = bucket.record().beat;
    assert!(sleeper.permit().await.is_ok());
    assert_eq!(bucket.record().beat, beat + 1, "it has asked first whether the lock is still its own");
    assert!(take(&bucket, "two").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_someone_does_to_the_object_ends_the_lease() {
    let freed = |bucket: &Bucket| bucket.record().freed().text();
    for (change, said) in [
        (None, "someone has removed it"),
        (Some("{}".to_owned()), "no lock of ours"),
        (Some(String::new()), "runner unlock"),
    ] {
        let bucket = Bucket::default();
        let lease = lease(&bucket, "one").await;
        let text = change.map(|text| if text.is_empty() { freed(&bucket) } else { text });
        bucket.set(text.as_deref());
        sleep(Duration::from_secs(25)).await;
        let lost = lease.permit().await.err().unwrap().to_string();
        assert!(lost.contains(said), "{lost}");
        assert_eq!(lease.why_lost().unwrap().to_string(), lost);
        let before = bucket.0.lock().unwrap().as_ref().map(|object| object.version);
        lease.release(PARTING).await.unwrap();
        assert_eq!(bucket.0.lock().unwrap().as_ref().map(|object| object.version), before);
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_no_lock_is_left_alone() {
    let bucket = Bucket::default();
    bucket.set(Some("someone's shopping list"));
    let refused = take(&bucket, "one").await.err().unwrap();
    assert!(refused.contains("no lock of ours") && refused.contains("--force"), "{refused}");
    assert_eq!(bucket.0.lock().unwrap().as_ref().unwrap().text, "someone's shopping list");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_or_is_away_is_told_as_it_is() {
    let bucket = Bucket::default();
    let refused = take_on(&Way::with(&bucket, |_| Fate::Refused), "one", 0, Clock::default()).await.err().unwrap();
    assert!(refused.contains("cannot lock stack `prod`: s3://locks/prod.lock: the connection broke"), "{refused}");
    let begun = Instant::now();
    let refused = take_on(&Way::with(&bucket, |_| Fate::Hangs), "one", 0, Clock::default()).await.err().unwrap();
    assert!(refused.contains("no answer came in time"), "{refused}");
    assert!(begun.elapsed() < Duration::from_secs(90), "simulated: {:?}", begun.elapsed());
}

/// A run that takes the lock, writes for 70 s, and lets go; how many calls that took.
async fn life(bucket: &Bucket, fate: impl Fn(usize) -> Fate + Send + Sync + 'static) -> Result<usize, String> {
    let way = Way::with(bucket, fate);
    let lease = take_on(&way, "one", 0, Wall::default().clock()).await?.lease;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(70) {
        lease.permit().await.map_err(|lost| lost.to_string())?;
        sleep(Duration::from_millis(500)).await;
    }
    // What cannot be released ends by itself.
    let _ = lease.release(PARTING).await;
    Ok(way.calls.load(Ordering::SeqCst))
}

#[tokio::test(start_paused = true)]
async fn whatever_becomes_of_any_one_call_the_run_goes_on_and_the_lock_comes_free() {
    let calls = life(&Bucket::default(), |_| Fate::Served).await.unwrap();
    assert!(calls >= 5, "a look, a write, signs of life, and the release: {calls}");
    let fates = [
        Fate::Refused,
        Fate::Lost,
        Fate::Hangs,
        Fate::HangsAfter,
        Fate::Late(1),
        Fate::Late(12),
        Fate::Late(40),
        Fate::Conflict,
    ];
    let mut swept = 0;
    for fate in fates {
        for n in 1..=calls {
            for held in [false, true] {
                let bucket = Bucket::default();
                if held {
                    // Over one that is there already.
                    lease(&bucket, "zero").await.release(PARTING).await.unwrap();
                }
                let fence = if held { 2 } else { 1 };
                let ended = life(&bucket, move |call| if call == n { fate } else { Fate::Served }).await;
                ended.unwrap_or_else(|lost| panic!("{fate:?} at call {n}: {lost}"));
                assert_eq!(bucket.record().fence, fence, "{fate:?} at call {n}: won once");
                sleep(Duration::from_secs(61)).await;
                let next = take(&bucket, "two").await;
                let next = next.unwrap_or_else(|stuck| panic!("{fate:?} at call {n}: {stuck}"));
                assert_eq!(next.lease.fence(), Some(fence + 1));
                swept += 1;
            }
        }
    }
    assert!(swept >= 8 * 2 * calls, "{swept} cases");
}

/// Two runs that both want to write all the time, while the first does not reach the store for some time: (when it was
/// last permitted to write, when the second first was).
async fn outage(from: u64, seconds: u64, hangs: bool) -> (Option<Instant>, Option<Instant>, bool) {
    let (bucket, begun) = (Bucket::default(), Instant::now());
    let away = move |_| match begun.elapsed().as_secs() {
        now if now < from || now >= from + seconds => Fate::Served,
        _ if hangs => Fate::Hangs,
        _ => Fate::Refused,
    };
    let one = take_on(&Way::with(&bucket, away), "one", 0, Wall::default().clock()).await.ok().unwrap().lease;
    let second = async {
        while begun.elapsed() < Duration::from_secs(210) {
            if let Ok(won) = take(&bucket, "two").await {
                won.lease.permit().await.unwrap_or_else(|lost| panic!("{lost}"));
                return Some(Instant::now());
            }
            sleep(Duration::from_secs(1)).await;
        }
        None
    };
    let first = async {
        let mut last = None;
        while begun.elapsed() < Duration::from_secs(210) {
            if one.permit().await.is_err() {
                break;
            }
            last = Some(Instant::now());
            sleep(Duration::from_secs(1)).await;
        }
        last
    };
    let (last, second) = tokio::join!(first, second);
    (last, second, one.why_lost().is_some())
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_store_is_lived_through_or_ends_the_run_before_another_begins() {
    let (mut swept, mut lost) = (0, 0);
    for from in (1..=23).step_by(2) {
        for seconds in (5..=115).step_by(5) {
            for hangs in [false, true] {
                let (last, second, is_lost) = outage(from, seconds, hangs).await;
                let case = format!("away from {from} for {seconds} s, hanging: {hangs}");
                if let Some(second) = second {
                    let last = last.expect("it wrote before");
                    assert!(last + Duration::from_secs(15) <= second, "{case}: a call in flight has 15 s to arrive");
                    assert!(is_lost, "{case}");
                }
                assert!(!is_lost || seconds >= 30, "{case}: lost for nothing");
                (swept, lost) = (swept + 1, lost + usize::from(is_lost));
            }
        }
    }
    assert_eq!(swept, 12 * 23 * 2);
    assert!(lost > 50 && lost < swept - 50, "both ends were seen: {lost} of {swept}");
}

/// The sandbox, in which something happens along with the n-th create.
struct Meanwhile<F> {
    inner: Arc<Sandbox>,
    creates: AtomicUsize,
    at: usize,
    happens: F,
    /// Whether a create that it happened along with might have gone on, before and after.
    might_go_on: Mutex<Vec<bool>>,
}

impl<F> Meanwhile<F> {
    fn at(at: usize, cloud: &Cloud, happens: F) -> Self {
        let (creates, might_go_on) = (AtomicUsize::new(0), Mutex::default());
        Meanwhile { inner: cloud.sandbox.clone(), creates, at, happens, might_go_on }
    }
}

#[async_trait]
impl<F: Fn() + Send + Sync> Provider for Meanwhile<F> {
    fn kinds(&self) -> &[Arc<Kind>] {
        self.inner.kinds()
    }

    fn lookups(&self) -> &[Lookup] {
        self.inner.lookups()
    }

    async fn owned_kinds(&self, region: Option<&str>, stack: &str) -> Result<BTreeSet<Arc<str>>, Fault> {
        self.inner.owned_kinds(region, stack).await
    }

    async fn list(&self, kind: &Kind, region: Option<&str>, select: &Select) -> Result<Vec<Live>, Fault> {
        self.inner.list(kind, region, select).await
    }

    async fn create(&self, kind: &Kind, request: &Create) -> Result<String, Fault> {
        if self.creates.fetch_add(1, Ordering::SeqCst) + 1 == self.at {
            let before = permission::holds();
            (self.happens)();
            self.might_go_on.lock().unwrap().extend([before, permission::holds()]);
        }
        self.inner.create(kind, request).await
    }

    async fn update(&self, kind: &Kind, request: &Update) -> Result<(), Fault> {
        self.inner.update(kind, request).await
    }

    async fn delete(&self, kind: &Kind, request: &Delete) -> Result<(), Fault> {
        self.inner.delete(kind, request).await
    }

    async fn look_up(&self, name: &str, arguments: &[Value]) -> Result<Value, Fault> {
        self.inner.look_up(name, arguments).await
    }
}

#[tokio::test(start_paused = true)]
async fn an_apply_that_loses_its_lock_begins_no_further_write() {
    let chain = || {
        let mut items = vec![item("t::network.main", json!({ "cidr_block": "10.0.0.0/16" }))];
        items.extend((0..6).map(|n| {
            let before = if n == 0 { "t::network.main.id".into() } else { format!("t::part.p{}.id", n - 1) };
            item(&format!("t::part.p{n}"), json!({ "network": reference(&before), "size": 1 }))
        }));
        items
    };
    for at in 1..=7 {
        let (bucket, wall) = (Bucket::default(), Wall::default());
        let mut sandbox = Sandbox::in_memory(crate::world::kinds(), vec![]);
        sandbox.latency.settle_otherwise = seconds(3.0);
        let mut cloud = Cloud::over(sandbox);
        cloud.lease = take_on(&Way::to(&bucket), "one", 0, wall.clock()).await.ok().unwrap().lease;
        let plan = cloud.plan(chain()).await;
        let (thief, asleep) = (bucket.clone(), wall.clone());
        let happens = move || {
            thief.set(Some(&Record::new(2, Duration::from_secs(60), holder("two")).text()));
            asleep.set(50);
        };
        let provider = Arc::new(Meanwhile::at(at, &cloud, happens));
        let outcome = cloud.apply_over(provider.clone(), &plan, 32).await;
        // What takes several calls would not make the next.
        assert_eq!(*provider.might_go_on.lock().unwrap(), [true, false]);
        assert_eq!(provider.creates.load(Ordering::SeqCst), at, "that one was in flight");
        assert_eq!(cloud.addresses().len(), at);
        // Of the last write nothing was left to be begun.
        if at < 7 {
            assert!(!outcome.is_success());
            let lost = outcome.lost.expect("it was lost").to_string();
            assert!(lost.contains("lost its lock") && lost.contains("held by run two"), "{lost}");
        }
        // And the next run goes on from there.
        cloud.lease = Lease::none();
        cloud.run(chain()).await;
        assert_eq!(cloud.addresses().len(), 7);
    }
}

/// They were about to write when the lock was lost: that is not to be under way, nor to be put off.
#[tokio::test(start_paused = true)]
async fn who_loses_the_lock_just_before_a_write_has_not_begun() {
    let (bucket, wall) = (Bucket::default(), Wall::default());
    let mut cloud = Cloud::new();
    cloud.lease = take_on(&Way::to(&bucket), "one", 0, wall.clock()).await.ok().unwrap().lease;
    let block = |n: usize| json!({ "cidr_block": format!("10.{n}.0.0/16") });
    let plan = cloud.plan((0..3).map(|n| item(&format!("t::network.n{n}"), block(n))).collect()).await;
    let (thief, asleep) = (bucket.clone(), wall.clone());
    let happens = move || {
        thief.set(Some(&Record::new(2, Duration::from_secs(60), holder("two")).text()));
        asleep.set(50);
    };
    let provider = Arc::new(Meanwhile::at(1, &cloud, happens));
    let outcome = cloud.apply_over(provider.clone(), &plan, 32).await;
    assert!(outcome.lost.is_some() && outcome.interrupted);
    assert_eq!((provider.creates.load(Ordering::SeqCst), cloud.addresses().len()), (1, 1));
    let mut tally = Tally::default();
    for event in cloud.record.0.lock().unwrap().iter().cloned() {
        tally.read(&Stamped { at: jiff::Timestamp::UNIX_EPOCH, event });
    }
    let said = tally.draw(&Sources::default(), &Screen::plain());
    assert!(said.contains("not begun: 2 operations: "), "{said}");
    assert!(said.contains("Interrupted: 1 created, 2 not begun in "), "{said}");
}
