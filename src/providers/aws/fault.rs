//! What AWS says went wrong, as a [`Fault`]: its class decides what the engine may do, its hint what a person can.

use std::error::Error;
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};
use aws_types::request_id::RequestId;

use super::calls::{Refused, Unpermitted};
use super::fault_codes::{classify, hint, in_context, is_about_the_time};
use super::whole_answer::Truncated;
use crate::providers::causes::{self, chain, innermost, lower_first};
use crate::resource::{Class, Fault, permission};

/// Names the call (`ec2:CreateVpc`) and turns the SDK's error into a fault.
pub trait OrFault<T> {
    fn or_fault(self, operation: &'static str) -> Result<T, Fault>;
}

impl<T, E> OrFault<T> for Result<T, SdkError<E, HttpResponse>>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    fn or_fault(self, operation: &'static str) -> Result<T, Fault> {
        self.map_err(|error| {
            let mut fault = match &error {
                SdkError::ServiceError(service) => answered(service.err().meta(), service.raw(), operation),
                _ => unanswered(&error),
            };
            fault.operation = Some(operation.to_owned());
            fault.request_id =
                fault.request_id.or_else(|| error.request_id().filter(|id| !id.is_empty()).map(str::to_owned));
            fault
        })
    }
}

/// What to make of a fault that comes after the resource itself was made: the same create must not be done again; what
/// is there is to be completed.
pub fn after<T>(id: &str, result: Result<T, Fault>) -> Result<T, Fault> {
    result.map_err(|mut fault| {
        fault.message = format!("{id} was created, but not all of it was set: {}", fault.message);
        fault.created = Some(id.to_owned());
        fault
    })
}

/// A removal of what is gone already is done.
pub fn gone_is_fine(result: Result<(), Fault>) -> Result<(), Fault> {
    match result {
        Err(fault) if fault.class == Class::NotFound => Ok(()),
        other => other,
    }
}

/// AWS answered with an error.
fn answered(meta: &ErrorMetadata, raw: &HttpResponse, operation: &str) -> Fault {
    let code = meta.code().unwrap_or_default();
    let message = meta.message().unwrap_or_default().trim().trim_end_matches('.');
    let status = raw.status().as_u16();
    let mut fault = Fault::new(
        in_context(code, message, operation).unwrap_or_else(|| classify(code, status)),
        if message.is_empty() { format!("AWS answered with status {status}") } else { lower_first(message) },
    );
    fault.code = Some(code.to_owned()).filter(|code| !code.is_empty());
    fault.request_id = meta.request_id().filter(|id| !id.is_empty()).map(str::to_owned);
    fault.hint = match is_about_the_time(code) {
        true => clock(raw, SystemTime::now()).or_else(|| hint(code, message, operation)),
        false => hint(code, message, operation),
    };
    fault
}

/// What is wrong with this machine's clock, by the time that AWS gives with its answer.
fn clock(raw: &HttpResponse, now: SystemTime) -> Option<String> {
    let told = DateTime::from_str(raw.headers().get("date")?, Format::HttpDate).ok()?;
    let told = SystemTime::try_from(told).ok()?;
    let (wrong, how) = match now.duration_since(told) {
        Ok(ahead) => (ahead, "ahead"),
        Err(behind) => (behind.duration(), "behind"),
    };
    // AWS takes what was signed up to five minutes ago.
    (wrong > Duration::from_secs(4 * 60)).then(|| {
        format!(
            "this machine's clock is {} min {how}: set it (`timedatectl set-ntp true`), then run again",
            wrong.as_secs() / 60
        )
    })
}

/// No answer, or none that can be read.
fn unanswered<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> Fault {
    if let Some(refused) = find::<Refused, _>(error) {
        return Fault::new(Class::ReadOnly, refused.to_string());
    }
    if let Some(Unpermitted(call)) = find(error) {
        return permission::ended(call);
    }
    if let Some(truncated) = find::<Truncated, _>(error) {
        return Fault::new(Class::Ambiguous, truncated.to_string());
    }
    if let Some(credentials) = without_credentials(error) {
        return no_credentials(credentials);
    }
    match error {
        SdkError::TimeoutError(_) => Fault::new(Class::Ambiguous, "no answer came in time"),
        SdkError::DispatchFailure(failure) if never_sent(error) => {
            let verb = if failure.is_timeout() { "no connection in time" } else { "no connection" };
            Fault::new(Class::Other, format!("{verb}: {}", innermost(error)))
                .hint("check the network, the region's name, proxies (`HTTPS_PROXY`) and `AWS_ENDPOINT_URL`")
        }
        SdkError::DispatchFailure(_) => {
            Fault::new(Class::Ambiguous, format!("the connection broke: {}", innermost(error)))
        }
        SdkError::ResponseError(response) => {
            let status = response.raw().status().as_u16();
            Fault::new(Class::Ambiguous, format!("the answer (status {status}) cannot be read: {}", innermost(error)))
        }
        _ => Fault::new(Class::Other, chain(error)),
    }
}

/// Why there was nothing to sign with, if that is why.
pub fn without_credentials<E: Error + 'static>(error: &E) -> Option<&CredentialsError> {
    find(error)
}

fn no_credentials(error: &CredentialsError) -> Fault {
    let message = match error {
        CredentialsError::CredentialsNotLoaded(_) => "there are no AWS credentials".to_owned(),
        CredentialsError::ProviderTimedOut(_) => "the source of AWS credentials does not answer".to_owned(),
        other => format!("no AWS credentials could be had: {}", innermost(other)),
    };
    Fault::new(Class::Denied, message).hint(
        "log in (`aws sso login`), name a profile (`AWS_PROFILE`), or set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`",
    )
}

/// True if the connection was never made, so that nothing can have been done.
fn never_sent<E: Error + 'static>(error: &E) -> bool {
    let text = chain(error);
    text.contains("(Connect)") || text.contains("HTTP connect timeout") || text.contains("dns error")
}

fn find<T: Error + 'static, E: Error + 'static>(error: &E) -> Option<&T> {
    causes::all(error).find_map(|source| source.downcast_ref())
}
