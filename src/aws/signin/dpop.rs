//! Proof of possession (RFC 9449): each request to the token endpoint carries a statement about
//! itself, signed by a key that was made for this one sign-in.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextMut;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use p256::elliptic_curve::rand_core::OsRng;
use p256::elliptic_curve::sec1::ToEncodedPoint;
use p256::pkcs8::AssociatedOid;
use p256::{NistP256, SecretKey};
use rand::distr::{Alphanumeric, SampleString};
use sec1::der::SecretDocument;
use sec1::der::pem::{LineEnding, PemLabel};
use sec1::{EcParameters, EcPrivateKey};
use secrecy::SecretString;
use serde_json::json;
use zeroize::Zeroizing;

/// Letters and digits, which need no escape in an address.
pub fn random_text(length: usize) -> String {
    // rand's thread generator is cryptographically secure and seeded by the system.
    Alphanumeric.sample_string(&mut rand::rng(), length)
}

/// A P-256 key; wiped when dropped.
#[derive(Clone, Debug)]
pub struct ProofKey(SecretKey);

impl ProofKey {
    pub fn generate() -> Self {
        ProofKey(SecretKey::random(&mut OsRng))
    }

    /// As the cache holds it: SEC1, with the curve named inside, which botocore's reader needs.
    pub fn to_pem(&self) -> SecretString {
        let private_key = Zeroizing::new(self.0.to_bytes());
        let public_key = self.0.public_key().to_encoded_point(false);
        let key = EcPrivateKey {
            private_key: &private_key,
            parameters: Some(EcParameters::NamedCurve(NistP256::OID)),
            public_key: Some(public_key.as_bytes()),
        };
        let pem = SecretDocument::encode_msg(&key)
            .and_then(|document| document.to_pem(EcPrivateKey::PEM_LABEL, LineEnding::LF))
            .expect("a key of this curve always has this form");
        SecretString::from(pem.as_str())
    }

    /// The JWT for one request to `address`.
    fn proof(&self, address: &str, now: Timestamp) -> String {
        let point = self.0.public_key().to_encoded_point(false);
        let [x, y] = [point.x(), point.y()].map(|half| half.map(|half| encoded(half)));
        let header = json!({
            "typ": "dpop+jwt",
            "alg": "ES256",
            "jwk": { "kty": "EC", "x": x, "y": y, "crv": "P-256" },
        });
        let payload = json!({
            "htm": "POST",
            "htu": address,
            "iat": now.as_second(),
            "jti": random_text(32),
        });
        let [header, payload] = [header, payload].map(|it| encoded(it.to_string().as_bytes()));
        let message = format!("{header}.{payload}");
        let signature: Signature = SigningKey::from(&self.0).sign(message.as_bytes());
        format!("{message}.{}", encoded(&signature.to_bytes()))
    }
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[dyn_dispatch_hint]
impl Intercept for ProofKey {
    fn name(&self) -> &'static str {
        "ProofKey"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let proof = self.proof(request.uri(), Timestamp::now());
        request.headers_mut().try_insert("dpop", proof)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use p256::ecdsa::VerifyingKey;
    use p256::ecdsa::signature::Verifier;
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn the_key_reads_back_from_its_document_with_its_curve_named() {
        let key = ProofKey::generate();
        let pem = key.to_pem();
        let pem = pem.expose_secret();
        assert!(pem.starts_with("-----BEGIN EC PRIVATE KEY-----\n"));
        assert_eq!(SecretKey::from_sec1_pem(pem).expect("our own"), key.0);
        let (_, der) = SecretDocument::from_pem(pem).expect("a PEM document");
        // 1.2.840.10045.3.1.7, prime256v1.
        let curve = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
        assert!(der.as_bytes().windows(10).any(|bytes| bytes == curve));
    }

    #[test]
    fn a_proof_is_signed_by_the_key_that_it_names() {
        let key = ProofKey::generate();
        let proof = key.proof("https://x/v1/token", Timestamp::UNIX_EPOCH);
        let (message, signature) = proof.rsplit_once('.').expect("three parts");
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        let signature = Signature::from_slice(&signature).expect("r and s");
        VerifyingKey::from(key.0.public_key())
            .verify(message.as_bytes(), &signature)
            .expect("it is the key's");
        assert_ne!(proof, key.proof("https://x/v1/token", Timestamp::UNIX_EPOCH));
    }
}
