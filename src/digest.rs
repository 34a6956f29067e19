//! Digests: of what may be told, so that a change of it shows; and of what may not, so that it can only be compared.

use std::num::NonZeroU32;

use ring::pbkdf2;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How long whoever has a digest of a password needs for each guess.
const ROUNDS: NonZeroU32 = NonZeroU32::new(200_000).unwrap();

const LENGTH: usize = 32;

pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// What makes the digests of one file tell nothing in another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Salt([u8; LENGTH]);

impl Salt {
    /// `None` if the system has no random numbers to give.
    pub fn new() -> Option<Self> {
        let mut salt = [0; LENGTH];
        SystemRandom::new().fill(&mut salt).ok()?;
        Some(Salt(salt))
    }

    /// Of what is no secret, or cannot be guessed.
    pub fn quick(&self, text: &str) -> String {
        let digest = Sha256::new().chain_update(self.0).chain_update(text).finalize();
        hex(&digest[..LENGTH / 2])
    }

    /// Of what could be guessed: PBKDF2, so that each guess takes its time.
    pub fn slow(&self, text: &str) -> String {
        let mut digest = [0; LENGTH];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, &self.0, text.as_bytes(), &mut digest);
        hex(&digest)
    }
}

impl From<Salt> for String {
    fn from(salt: Salt) -> Self {
        hex(&salt.0)
    }
}

impl TryFrom<String> for Salt {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bytes: Option<Vec<u8>> =
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect();
        let salt = bytes.and_then(|bytes| bytes.try_into().ok()).map(Salt);
        salt.ok_or_else(|| format!("a salt is {LENGTH} bytes in hexadecimal digits"))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_the_same_with_the_same_salt_only() {
        let (one, other) = (Salt::new().unwrap(), Salt::new().unwrap());
        let read: Salt = serde_json::from_str(&serde_json::to_string(&one).unwrap()).unwrap();
        assert_eq!((one.quick("a"), one.slow("a")), (read.quick("a"), read.slow("a")));
        assert_ne!(one.quick("a"), other.quick("a"));
        assert_ne!(one.slow("a"), other.slow("a"));
        assert_ne!(one.slow("a"), one.slow("b"));
        assert!(Salt::try_from("00".to_owned()).is_err() && Salt::try_from("ä".repeat(16)).is_err());
        assert_eq!(&sha256(b"abc")[..16], "ba7816bf8f01cfea");
    }
}
