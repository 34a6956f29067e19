//! A team's lock in S3: one small object, written by PutObject only if it is as it was seen (`If-None-Match: *`,
//! `If-Match`), two calls for a run that takes under a third of its lease, and two a minute for one that takes long.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::Format;

use super::client::{Client, Region};
use super::fault::OrFault;
use super::fault_codes::is_expired;
use crate::resource::{Class, Fault, LockPlace, LockStore, Stored, Written};

/// No lock is larger.
const LARGEST: i64 = 64 * 1024;

const GET: &str = "s3:GetObject";
const PUT: &str = "s3:PutObject";

pub struct S3Lock {
    client: Arc<Client>,
    place: LockPlace,
    key: String,
    url: String,
}

impl S3Lock {
    pub fn new(client: Arc<Client>, place: &LockPlace, stack: &str) -> Self {
        let key = match place.prefix.as_str() {
            "" => format!("{stack}.lock"),
            prefix => format!("{prefix}/{stack}.lock"),
        };
        let url = format!("s3://{}/{key}", place.bucket);
        S3Lock { client, place: place.clone(), key, url }
    }

    async fn region(&self) -> Result<Arc<Region>, Fault> {
        self.client.region(self.place.region.as_deref()).await
    }

    /// What is to be done about it, where it is about the bucket.
    fn explain(&self, mut fault: Fault) -> Fault {
        let bucket = &self.place.bucket;
        let hint = match fault.code.as_deref().unwrap_or_default() {
            "NoSuchBucket" => {
                let message = format!("there is no bucket `{bucket}`");
                fault.message = message;
                format!("make it once, with all public access blocked, or correct `s3` under `[lock]`: s3://{bucket}/…")
            }
            "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" | "301" => {
                "the bucket is in another region: say which, `region = \"…\"` under `[lock]` in the inventory"
                    .to_owned()
            }
            "NotImplemented" => "the lock needs conditional writes, which this store does not know".to_owned(),
            _ if fault.class == Class::Denied => format!(
                "whoever runs playbooks needs s3:GetObject and s3:PutObject on {}, and s3:ListBucket on `{bucket}`, without \
                 which S3 answers so for a lock that is not there yet",
                self.url
            ),
            _ => return fault,
        };
        fault.hint = Some(hint);
        fault
    }
}

#[async_trait]
impl LockStore for S3Lock {
    fn place(&self) -> &str {
        &self.url
    }

    async fn caller(&self) -> Option<String> {
        self.client.identity().await.ok().map(|identity| identity.arn.clone())
    }

    async fn read(&self) -> Result<Option<Stored>, Fault> {
        self.unexpired(|| self.get()).await
    }

    async fn write(&self, text: &str, over: Option<&str>) -> Result<Written, Fault> {
        self.unexpired(|| self.put(text, over)).await
    }
}

impl S3Lock {
    /// Once more, if the credentials had expired and there are others.
    async fn unexpired<T, Call>(&self, call: impl Fn() -> Call) -> Result<T, Fault>
    where
        Call: Future<Output = Result<T, Fault>>,
    {
        let begun = Instant::now();
        match call().await {
            Err(fault) if is_expired(&fault) => match self.client.renew(begun, fault).await {
                fault if fault.class == Class::Throttled => call().await,
                fault => Err(fault),
            },
            other => other,
        }
    }

    async fn get(&self) -> Result<Option<Stored>, Fault> {
        let region = self.region().await?;
        let asked = Answered::default();
        let call = region.s3.get_object().bucket(&self.place.bucket).key(&self.key);
        let answer = match call.customize().interceptor(asked.clone()).send().await.or_fault(GET) {
            Ok(answer) => answer,
            Err(fault) if fault.code.as_deref() == Some("NoSuchKey") => return Ok(None),
            Err(fault) => return Err(self.explain(fault)),
        };
        let invalid = |what: &str| Fault { operation: Some(GET.into()), ..Fault::new(Class::Invalid, what) };
        if answer.content_length().is_some_and(|length| length > LARGEST) {
            return Err(invalid("the object is too large to be a lock"));
        }
        let version = answer.e_tag().unwrap_or_default().to_owned();
        let age = asked.after(answer.last_modified());
        let cut = |why: String| Fault { operation: Some(GET.into()), ..Fault::new(Class::Ambiguous, why) };
        let whole = answer.content_length();
        let bytes =
            answer.body.collect().await.map_err(|error| cut(format!("the answer broke off: {error}")))?.into_bytes();
        if whole.is_some_and(|length| length != bytes.len() as i64) {
            return Err(cut("the answer ended before it was complete".into()));
        }
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| invalid("the object is no text"))?;
        Ok(Some(Stored { text, version, age }))
    }

    async fn put(&self, text: &str, over: Option<&str>) -> Result<Written, Fault> {
        let region = self.region().await?;
        let call = region.s3.put_object().bucket(&self.place.bucket).key(&self.key).content_type("application/json");
        let call = call.body(ByteStream::from(text.as_bytes().to_vec()));
        let call = match over {
            Some(version) => call.if_match(version),
            None => call.if_none_match("*"),
        };
        match call.send().await.or_fault(PUT) {
            Ok(answer) => Ok(Written::Done {
                version: answer.e_tag().unwrap_or_default().to_owned(),
                remark: answer.version_id().filter(|id| *id != "null").map(|_| self.keeps_versions()),
            }),
            Err(fault) => match fault.code.as_deref() {
                Some("PreconditionFailed" | "ConditionalRequestConflict") => Ok(Written::Moved),
                Some("NoSuchKey") if over.is_some() => Ok(Written::Moved),
                _ => Err(self.explain(fault)),
            },
        }
    }

    fn keeps_versions(&self) -> String {
        format!(
            "the bucket `{}` keeps every version of the lock: let a lifecycle rule expire noncurrent ones below {}",
            self.place.bucket, self.url
        )
    }
}

/// When S3 answered, by its own clock.
#[derive(Clone, Debug, Default)]
struct Answered(Arc<Mutex<Option<DateTime>>>);

impl Answered {
    /// How long before that; nothing, if it did not say.
    fn after(&self, then: Option<&DateTime>) -> Duration {
        let now = *self.0.lock().expect("no holder panics");
        let seconds = now.zip(then).map_or(0, |(now, then)| now.secs().saturating_sub(then.secs()));
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    }
}

impl Intercept for Answered {
    fn name(&self) -> &'static str {
        "Answered"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date =
            context.response().headers().get("date").and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
        *self.0.lock().expect("no holder panics") = date;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_the_stores_own_and_never_below_nothing() {
        let date = |text: &str| DateTime::from_str(text, Format::HttpDate).unwrap();
        let answered = Answered(Arc::new(Mutex::new(Some(date("Mon, 23 Nov 2026 06:31:00 GMT")))));
        assert_eq!(answered.after(Some(&date("Mon, 23 Nov 2026 06:30:00 GMT"))).as_secs(), 60);
        assert_eq!(answered.after(Some(&date("Mon, 23 Nov 2026 07:30:00 GMT"))).as_secs(), 0);
        assert_eq!(answered.after(None).as_secs(), 0);
        assert_eq!(Answered::default().after(Some(&date("Mon, 23 Nov 2026 06:30:00 GMT"))).as_secs(), 0);
    }
}
