//! How requests and answers travel: an HTTP client that accepts no endless answers, and what IAM and
//! STS need beyond the SDK.

use std::path::Path;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector,
    http_client_fn,
};
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextMut;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::error::{Error, Result};
use crate::private_file;

/// AWS's answers to what we ask are a thousand times shorter.
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;

/// What requests of the query protocol are, and no others.
const FORM: &str = "application/x-www-form-urlencoded";

/// A bundle of certificates holds a few hundred of them.
const LONGEST_BUNDLE: u64 = 16 * 1024 * 1024;

/// The authorities to trust beside the system's. Each is looked at here: the SDK panics at a wrong one.
pub fn read_ca_bundle(path: &Path) -> Result<Vec<u8>> {
    let unusable = |why: &str| {
        Error::failed(format!("cannot use the certificates in {}: {why}", path.display()))
            .hint("set AWS_CA_BUNDLE, or ca_bundle in ~/.aws/config, to a file of certificates in PEM form")
    };
    let bytes = private_file::read(path, LONGEST_BUNDLE)?;
    let bytes = bytes.ok_or_else(|| unusable("there is no such file"))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error| unusable(&error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(&error.to_string()))?;
    }
    if roots.is_empty() { Err(unusable("there is none in it")) } else { Ok(bytes) }
}

/// A client with connections of its own.
pub fn http_client(ca_bundle: Option<&[u8]>, proxy: ProxyConfig) -> SharedHttpClient {
    let mut trusted = tls::TrustStore::default();
    if let Some(pem) = ca_bundle {
        trusted.add_pem_certificate(pem);
    }
    let context = tls::TlsContext::builder().with_trust_store(trusted).build();
    let context = context.expect("nothing in it can be wrong");
    let client = aws_smithy_http_client::Builder::new().build_with_connector_fn(
        move |settings, components| {
            let mut connector = Connector::builder().proxy_config(proxy.clone());
            connector.set_connector_settings(settings.cloned());
            if let Some(components) = components {
                connector.set_sleep_impl(components.sleep_impl());
            }
            connector
                .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc))
                .tls_context(context.clone())
                .build()
        },
    );
    http_client_fn(move |settings, components| {
        SharedHttpConnector::new(WholeAnswers(client.http_connector(settings, components)))
    })
}

/// Collects each answer, as the SDK does in any case, and refuses one that grows too long or was cut on
/// the way: the SDK's XML reader takes a cut document for one with empty fields, so that a key has half
/// a secret, and a user no tags.
#[derive(Debug)]
struct WholeAnswers(SharedHttpConnector);

impl HttpConnector for WholeAnswers {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let is_query = request.headers().get("content-type") == Some(FORM);
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let mut answer = answer.await?;
            let body = Limited::new(answer.take_body(), LONGEST_ANSWER).collect().await;
            let body = body.map_err(|error| {
                let is_long = error.is::<LengthLimitError>();
                let error = if is_long { "the answer is longer than 4 MiB".into() } else { error };
                ConnectorError::io(error)
            })?;
            let body = body.to_bytes();
            if is_query && answer.status().is_success() && !ends_as_it_should(&body) {
                return Err(ConnectorError::io("the answer was cut on the way".into()));
            }
            *answer.body_mut() = SdkBody::from(body);
            Ok(answer)
        })
    }
}

/// For the services that speak AWS's query protocol, IAM and STS: forms out, XML back.
#[derive(Debug)]
pub struct QueryProtocol;

#[dyn_dispatch_hint]
impl Intercept for QueryProtocol {
    fn name(&self) -> &'static str {
        "QueryProtocol"
    }

    /// Sends spaces in forms as `+`, as browsers and AWS's other SDKs do, instead of `%20`. AWS
    /// takes both; servers that stand in for it (moto 5.2) check the signature over the former only.
    fn modify_before_retry_loop(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        if let Some(Ok(body)) = request.body().bytes().map(std::str::from_utf8) {
            let body = body.replace("%20", "+");
            request.headers_mut().insert("content-length", body.len().to_string());
            *request.body_mut() = SdkBody::from(body);
        }
        Ok(())
    }
}

/// Every answer is one element whose name ends in `Response` (API references, "Making query
/// requests").
fn ends_as_it_should(body: &[u8]) -> bool {
    let body = body.trim_ascii_end();
    let tag = body.iter().rposition(|byte| *byte == b'<').map(|at| &body[at..]);
    tag.is_some_and(|tag| tag.starts_with(b"</") && tag.ends_with(b"Response>"))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use aws_sdk_sts::config::{BehaviorVersion, Credentials, Region};

    use super::*;
    use crate::aws::failure::{Failure, Reason};

    /// Answers every connection without end, and counts what it could send.
    fn endless_server() -> (String, std::thread::JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let read = stream.read(&mut [0; 65536]).expect("a request");
            assert!(read > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("open");
            let chunk = [b'x'; 65536];
            (0..).take_while(|_| stream.write_all(&chunk).is_ok()).count() * chunk.len()
        });
        (address, server)
    }

    #[tokio::test]
    async fn an_endless_answer_is_ended() {
        let (address, server) = endless_server();
        let config = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(Credentials::new("AKIA", "secret", None, None, "test"))
            .region(Region::from_static("us-east-1"))
            .retry_config(aws_config::retry::RetryConfig::disabled())
            .endpoint_url(address)
            .http_client(http_client(None, ProxyConfig::disabled()));
        let sts = aws_sdk_sts::Client::from_conf(config.build());
        let error = sts.get_caller_identity().send().await.expect_err("no answer");
        let failure = Failure::of("sts:GetCallerIdentity", &error);
        assert_eq!(failure.reason, Reason::Unclear);
        assert_eq!(failure.message, "the answer is longer than 4 MiB");
        // What the sockets buffer comes on top of what was read.
        let sent = tokio::task::spawn_blocking(move || server.join()).await.expect("not cancelled");
        let sent = sent.expect("it ends with the connection");
        assert!(sent < 8 * LONGEST_ANSWER, "{sent} bytes");
    }

    #[test]
    fn a_cut_document_is_not_taken_for_a_whole_one() {
        let whole = "<CreateUserResponse><CreateUserResult/></CreateUserResponse>\n";
        assert!(ends_as_it_should(whole.as_bytes()));
        for cut in 0..whole.len() - 1 {
            assert!(!ends_as_it_should(&whole.as_bytes()[..cut]), "{cut}");
        }
        assert!(!ends_as_it_should(b"<html>a proxy's own page</html>"));
    }
}
