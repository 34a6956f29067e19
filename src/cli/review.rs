//! Plans for a review: what one read is kept in a file (`--record`), and made again from it where there are no
//! credentials (`--replay`); or made against a world in which nothing is (`--offline`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::args::ReviewArgs;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::engine::History;
use crate::providers;
use crate::providers::recording::{Recorded, Recorder, Replay};
use crate::resource::Provider;
use crate::secret::Secrets;
use crate::text_file::{self, misread};

/// `"runner_record": 1`. A file of another version is refused.
pub(super) const VERSION: u64 = 1;

/// What a plan rests on.
pub enum Review {
    /// The world as it is.
    Live,
    Record {
        recorder: Arc<Recorder>,
        file: PathBuf,
    },
    Replay {
        replay: Arc<Replay>,
        history: History,
        told: String,
    },
    Offline,
}

/// A recording as a file.
#[derive(Serialize, Deserialize)]
pub(super) struct Document {
    pub(super) runner_record: u64,
    /// Of all the rest, so that a file that was cut off or edited is not taken for what it was. It is no signature.
    pub(super) digest: String,
    pub(super) runner: String,
    pub(super) at: Timestamp,
    pub(super) stack: String,
    pub(super) playbook: String,
    /// What earlier runs took, for the estimate.
    pub(super) history: History,
    pub(super) recorded: Recorded,
}

type Opened = (Review, Arc<dyn Provider>);

impl Review {
    pub fn open(
        args: &ReviewArgs,
        stack: &str,
        secrets: &Secrets,
        connect: impl FnOnce() -> Result<Arc<dyn Provider>, Box<Diagnostic>>,
    ) -> Result<Opened, Diagnostics> {
        if let Some(file) = &args.replay {
            let document = load(file, stack).map_err(|wrong| vec![*wrong])?;
            let told = format!(
                "Planned from the recording {} of {}; nothing was looked at since.",
                file.display(),
                document.at.strftime("%Y-%m-%d %H:%M UTC")
            );
            let replay = Arc::new(Replay::new(document.recorded));
            replay.stand_ins().iter().for_each(|(name, value)| secrets.learn(name, value));
            return Ok((Review::Replay { replay: replay.clone(), history: document.history, told }, replay));
        }
        if args.offline {
            return Ok((Review::Offline, providers::nowhere()));
        }
        let provider = connect().map_err(|wrong| vec![*wrong])?;
        Ok(match &args.record {
            None => (Review::Live, provider),
            Some(file) => {
                let recorder = Arc::new(Recorder::new(provider));
                (Review::Record { recorder: recorder.clone(), file: file.clone() }, recorder)
            }
        })
    }
}

/// In the place of the digest, while it is reckoned.
pub(super) const BLANK: &str = "0000000000000000000000000000000000000000000000000000000000000000";

pub(super) fn digest(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A whole recording of this stack, or why it is none.
fn load(file: &Path, stack: &str) -> Result<Document, Box<Diagnostic>> {
    let cannot = |cause: String| {
        let told = Diagnostic::error(format!("cannot plan from the recording {}", file.display()));
        Box::new(told.because(cause).hint("record anew: --dry-run --record FILE"))
    };
    let text = text_file::read_piped(file, text_file::KEPT).map_err(|error| cannot(error.to_string()))?;
    if !text.is_empty() && !text.starts_with('{') {
        return Err(cannot("it is no recording".into()));
    }
    let json: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| cannot(format!("it is no recording, or only a part of one: {}", misread(&error))))?;
    match json["runner_record"].as_u64() {
        None => return Err(cannot("it is no recording".into())),
        Some(VERSION) => {}
        Some(version) if version > VERSION => {
            return Err(cannot(format!("it has version {version}, of a newer runner; this one reads {VERSION}")));
        }
        Some(version) => return Err(cannot(format!("it has version {version}; this runner reads {VERSION}"))),
    }
    let told = json["digest"].as_str().unwrap_or_default();
    if told.len() != BLANK.len() || digest(&text.replacen(told, BLANK, 1)) != *told {
        return Err(cannot("it was changed after it was made".into()));
    }
    let document: Document = serde_json::from_value(json).map_err(|error| cannot(misread(&error)))?;
    if document.stack != stack {
        return Err(cannot(format!("it is of stack `{}`, and this is stack `{stack}`", document.stack)));
    }
    Ok(document)
}
