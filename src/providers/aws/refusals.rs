//! How often each service of each region has refused because it was asked too often: the SDK asks again by itself, and
//! whoever paces all that is asked must know.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use super::calls::{operation, reads};
use super::fault_codes::classify;
use crate::resource::Class;

/// Counts them, by the service's name in IAM's actions.
#[derive(Clone, Debug, Default)]
pub struct Refusals {
    counted: Arc<Mutex<BTreeMap<(String, String), u64>>>,
    /// For which its clients are, also where they send to another: what has no region is asked on behalf of one.
    region: String,
}

impl Refusals {
    /// The same count, for a client of this region.
    pub fn within(&self, region: &str) -> Self {
        Refusals { counted: self.counted.clone(), region: region.to_owned() }
    }

    pub fn of(&self, service: &str, region: &str) -> u64 {
        let key = (service.to_owned(), region.to_owned());
        self.counted.lock().expect("no holder panics").get(&key).copied().unwrap_or_default()
    }
}

impl Intercept for Refusals {
    fn name(&self) -> &'static str {
        "Refusals"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let status = response.status().as_u16();
        let body = response.body().bytes().unwrap_or_default();
        if status >= 400 && is_refusal(status, response.headers().get("x-amzn-errortype"), body) {
            let operation = operation(cfg);
            // A change that is refused is not asked again here, and tells so itself.
            if !reads(&operation) {
                return Ok(());
            }
            let service = operation.split(':').next().unwrap_or_default().to_owned();
            let key = (service, self.region.clone());
            *self.counted.lock().expect("no holder panics").entry(key).or_default() += 1;
        }
        Ok(())
    }
}

/// Whether an error is one of too many calls, by the code in its head or its body.
fn is_refusal(status: u16, head: Option<&str>, body: &[u8]) -> bool {
    let body = String::from_utf8_lossy(body);
    let between = |begin: &str, end: &str| Some(body.split_once(begin)?.1.split_once(end)?.0.to_owned());
    let code = head
        .map(str::to_owned)
        .or_else(|| between("<Code>", "</Code>"))
        .or_else(|| between("\"__type\":", ",").or_else(|| between("\"__type\":", "}")))
        .or_else(|| between("\"code\":", ",").or_else(|| between("\"code\":", "}")));
    let code = code.unwrap_or_default();
    let code = code.trim().trim_matches('"').rsplit('#').next().unwrap_or_default();
    status == 429 || classify(code.split(':').next().unwrap_or(code), status) == Class::Throttled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_too_many_calls_is_known_in_every_protocol() {
        let xml = "<Response><Errors><Error><Code>RequestLimitExceeded</Code></Error></Errors></Response>";
        assert!(is_refusal(503, None, xml.as_bytes()));
        assert!(is_refusal(400, None, br#"{"__type":"com.amazon#ThrottlingException","message":"x"}"#));
        assert!(is_refusal(400, None, br#"{"__type": "ThrottlingException"}"#));
        assert!(is_refusal(400, Some("TooManyRequestsException:http://x/"), b""));
        assert!(!is_refusal(400, None, xml.replace("RequestLimitExceeded", "VpcLimitExceeded").as_bytes()));
        assert!(!is_refusal(500, None, b"<html>"));
    }
}
