//! The access key pair, and the CloudStudio document that carries it.
//!
//! The secret half cannot be printed, compared or serialized by accident (`secrecy`), and is wiped
//! when dropped. Search for `expose_secret` to see where its text is used.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// One access key: its ID, which is no secret, and its secret access key, which is.
#[derive(Clone)]
pub struct KeyPair {
    /// `AKIA…` for users and root.
    pub access_key_id: String,
    pub secret_access_key: SecretString,
}

/// What CloudStudio's editor shows: exactly these two keys, in this order.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    #[serde(borrow)]
    access_key: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    secret_key: std::borrow::Cow<'a, str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ProcessDocument<'a> {
    version: u32,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<&'a str>,
}

impl KeyPair {
    pub fn new(access_key_id: impl Into<String>, secret_access_key: SecretString) -> Self {
        KeyPair { access_key_id: access_key_id.into(), secret_access_key }
    }

    /// The CloudStudio document: `{"access_key": …, "secret_key": …}`, indented as the app shows it.
    pub fn to_document(&self) -> SecretString {
        let document = Document {
            access_key: self.access_key_id.as_str().into(),
            secret_key: self.secret_access_key.expose_secret().into(),
        };
        self.to_text(|text| serde_json::to_writer_pretty(text, &document))
    }

    /// What a `credential_process` prints (AWS SDKs and Tools reference, "Process credential
    /// provider"): a key without `Expiration` is never asked for again.
    pub fn to_process_document(&self, account_id: Option<&str>) -> SecretString {
        let document = ProcessDocument {
            version: 1,
            access_key_id: &self.access_key_id,
            secret_access_key: self.secret_access_key.expose_secret(),
            account_id,
        };
        self.to_text(|text| serde_json::to_writer(text, &document))
    }

    /// JSON of the pair, in a buffer that never grows: that would leave a copy of the secret behind.
    pub fn to_text(
        &self,
        write: impl FnOnce(&mut Vec<u8>) -> serde_json::Result<()>,
    ) -> SecretString {
        let halves = self.access_key_id.len() + self.secret_access_key.expose_secret().len();
        let mut text = Zeroizing::new(Vec::with_capacity(256 + 6 * halves));
        write(&mut text).expect("a few strings always serialize into memory");
        SecretString::from(str::from_utf8(&text).expect("serde_json writes UTF-8"))
    }

    /// Reads a CloudStudio document back. An error never repeats the text.
    pub fn from_document(text: &str) -> Result<Self> {
        // serde_json's own messages may quote values, so they are not passed on.
        match serde_json::from_str::<Document>(text) {
            Ok(document) if !document.access_key.is_empty() && !document.secret_key.is_empty() => {
                let secret = Zeroizing::new(document.secret_key.into_owned());
                Ok(KeyPair::new(document.access_key, SecretString::from(secret.as_str())))
            }
            _ => Err(Error::failed(
                "this is not a CloudStudio secret document with `access_key` and `secret_key`",
            )),
        }
    }

    /// Whether both halves are equal.
    pub fn same_as(&self, other: &KeyPair) -> bool {
        self.access_key_id == other.access_key_id
            && self.secret_access_key.expose_secret() == other.secret_access_key.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(secret: &str) -> KeyPair {
        KeyPair::new("AKIAIOSFODNN7EXAMPLE", SecretString::from(secret))
    }

    #[test]
    fn the_document_is_what_the_app_shows() {
        assert_eq!(
            pair("abc/def+ghi").to_document().expose_secret(),
            "{\n  \"access_key\": \"AKIAIOSFODNN7EXAMPLE\",\n  \"secret_key\": \"abc/def+ghi\"\n}"
        );
    }

    #[test]
    fn every_character_survives_the_round_trip() {
        for secret in ["plain", "quote\"back\\slash", "\u{1}control\n", "ünïcödé 🔑"] {
            let document = pair(secret).to_document();
            let back = KeyPair::from_document(document.expose_secret()).expect("our own document");
            assert!(back.same_as(&pair(secret)));
        }
    }

    #[test]
    fn other_documents_are_refused_without_being_quoted() {
        for text in [
            "",
            "[]",
            "{\"access_key\":\"A\"}",
            "{\"access_key\":\"\",\"secret_key\":\"s3cr3t\"}",
            "{\"access_key\":\"A\",\"secret_key\":\"s3cr3t\",\"region\":\"x\"}",
        ] {
            let error = KeyPair::from_document(text).err().expect("no document");
            assert!(!error.message.contains("s3cr3t"));
        }
    }
}
